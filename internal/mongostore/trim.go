package mongostore

// Trim lets go of what is only remembered: it is read again.
func (s *Store) Trim() error {
	s.ledger.committing.Lock()
	defer s.ledger.committing.Unlock()
	clear(s.ledger.cache)
	return nil
}
