package actors

import (
	"context"
	"time"
)

// leave gives this node's sessions away and waits until they have gone. ctx bounds the waiting.
func (c *cluster) leave(ctx context.Context) {
	if err := c.Members.Leave(ctx); err != nil {
		c.node.log.Warn("other nodes learn late that this one leaves", "err", err)
	}
	c.nudge()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for beat := 1; ctx.Err() == nil && !c.alone() && c.node.sessions.len() > 0; beat++ {
		select {
		case <-ctx.Done():
		case <-tick.C:
			if beat%20 == 0 {
				c.node.moved()
			}
		}
	}
}

// quiet waits until nothing waits at other nodes.
func (c *cluster) quiet(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		c.mu.Lock()
		n := len(c.pending) + len(c.queue)
		c.mu.Unlock()
		if n == 0 && c.backlog.Load() == 0 {
			return
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// alone says that there is nobody who would take sessions over.
func (c *cluster) alone() bool {
	for _, m := range c.view.Load().Members {
		if m.ID != c.self.ID && !m.Leaving {
			return false
		}
	}
	return true
}

// close ends the node's part. What waits is dropped.
func (c *cluster) close() {
	if c.ended.Swap(true) {
		return
	}
	close(c.stop)
	c.mu.Lock()
	c.wake.Broadcast()
	c.mu.Unlock()
	c.peers.Close()
	c.running.Wait()
	if t, ok := c.took.(interface{ Close() }); ok {
		t.Close()
	}
}
