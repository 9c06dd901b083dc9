package protocol

import "context"

type addressKey struct{}

// WithAddress gives a context that knows from which address a request came, "host:port"
// or a host. Whoever takes connections calls it, after the proxies it trusts were heard.
func WithAddress(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, addressKey{}, address)
}

// AddressFrom says from where a request came, "": it is not known.
func AddressFrom(ctx context.Context) string {
	address, _ := ctx.Value(addressKey{}).(string)
	return address
}
