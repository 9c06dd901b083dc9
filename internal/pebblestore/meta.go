package pebblestore

// Rows of tableMeta.
var (
	keyCounter = rowKey(tableMeta, "counter") // the number of the newest change, 8 bytes: see mark.go
)
