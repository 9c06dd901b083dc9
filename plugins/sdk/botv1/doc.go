// Package botv1 is what Troupe and a bot say to each other, version 1: see bot.proto.
// Bots are written with package sdk, which hides it.
package botv1

//go:generate sh -c "cd ../../.. && protoc --plugin=protoc-gen-go=$(go tool -n protoc-gen-go) --plugin=protoc-gen-go-grpc=$(go tool -n protoc-gen-go-grpc) --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative plugins/sdk/botv1/bot.proto && cp plugins/sdk/botv1/bot.proto plugins/sdk-node/bot.proto"
