package protocol

import "context"

type identityKey struct{}

// WithIdentity gives a context that knows who speaks in a request. Whoever
// checked the request's token calls it, and nobody else.
func WithIdentity(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// IdentityFrom says who speaks; false: nobody whose token was checked.
func IdentityFrom(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(Identity)
	return id, ok
}
