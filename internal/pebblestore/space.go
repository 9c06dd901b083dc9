package pebblestore

func (s *Store) roomy() error { return nil }

func (s *Store) synced(n int64) {}
