package desk

// InHand says what an event of a plugin's was about, also when it was done a while ago:
// the gateway to models counts by it. ok false: the plugin was given no such event.
func (d *Desks) InHand(plugin, event string) (bot, user, session, traceparent string, ok bool) {
	d.mu.RLock()
	p := d.plugs[plugin]
	d.mu.RUnlock()
	if p == nil {
		return "", "", "", "", false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	m, ok := p.past.get(event)
	if !ok {
		return "", "", "", "", false
	}
	return m.bot, m.event.GetSender().GetUser(), m.session, m.event.GetTraceparent(), true
}
