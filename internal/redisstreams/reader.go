package redisstreams

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/troupe-im/troupe/actors"
)

// block is how long one XREAD waits for something to come.
const block = 500 * time.Millisecond

// readAtOnce is how many entries one XREAD brings at most.
const readAtOnce = 128

// read reads the place's stream from its beginning to the place's end, on a connection
// of its own. There is no consumer group: the only reader is the node that made the
// stream, and what it has read it need not acknowledge.
func (s *Streams) read(ctx context.Context, p *place, brought chan<- *batch) {
	position := "0-0"
	for ctx.Err() == nil {
		c, cancel := context.WithTimeout(ctx, block+s.cfg.Timeout)
		streams, err := s.reading.XRead(c, &redis.XReadArgs{Streams: []string{p.stream, position}, Count: readAtOnce, Block: block}).Result()
		cancel()
		if err != nil && !errors.Is(err, redis.Nil) {
			s.failed(err)
			s.pause(ctx, 100*time.Millisecond)
			continue
		}
		s.hearing.now(&s.hearing.read)
		for _, stream := range streams {
			for _, entry := range stream.Messages {
				position = entry.ID
				text, _ := entry.Values["b"].(string)
				b, err := readBatch([]byte(text))
				if err != nil {
					s.log.Error("an entry of this node's stream cannot be read", "err", err)
					s.owe()
					continue
				}
				if !s.take(p, b) {
					continue
				}
				select {
				case brought <- b:
				case <-ctx.Done():
					return
				}
			}
		}
		at := position
		p.position.Store(&at)
	}
}

// knownSenders bounds what is kept of those that wrote once.
const knownSenders = 4096

// take does what a batch says. True: it brings events.
func (s *Streams) take(p *place, b *batch) bool {
	if b.from == p.id {
		return false
	}
	s.stats.Received.Add(1)
	last := p.seen[b.from]
	if b.tail {
		b.seq++ // what comes next
	} else if b.seq <= last {
		return false // written twice, as an answer of Redis was lost
	}
	if b.seq > last+1 {
		s.owe()
	}
	if b.tail {
		p.seen[b.from] = max(last, b.seq-1)
		return false
	}
	if len(p.seen) >= knownSenders {
		clear(p.seen)
	}
	p.seen[b.from] = b.seq
	p.post.heardOf(b.from)
	if b.lost {
		s.owe()
	}
	for _, token := range b.followed {
		s.answered(p, token, false)
	}
	if len(b.follows)+len(b.unwanted) > 0 {
		n := p.post.peer(b.from)
		for _, f := range b.follows {
			p.reach.joined(n, f.all)
			p.post.add(n, appendNumber(nil, batchFollowed, f.token))
		}
		for _, f := range b.unwanted {
			p.reach.refused(n, f)
		}
	}
	return len(b.events) > 0
}

// deliver gives the receiver what the reader brings, so that a crowd that has to be
// written to does not keep the reader from answering other nodes.
func (s *Streams) deliver(ctx context.Context, p *place, brought <-chan *batch) {
	for {
		select {
		case b := <-brought:
			s.hand(p, b)
		case <-ctx.Done():
			return
		}
	}
}

func (s *Streams) hand(p *place, b *batch) {
	var burst actors.Burst
	for _, part := range b.events {
		gen := p.gen.Load() // before it is looked whether the subject is followed
		subject, events, err := readEvents(part)
		if err != nil {
			s.log.Error("events of another node cannot be read", "err", err)
			s.owe()
			continue
		}
		switch {
		case !s.follows.has(subject):
			p.post.add(p.post.peer(b.from), appendFollowed(nil, batchUnwanted, followed{subject, gen}))
		case len(events) > 0:
			s.receiver.Receive(subject, events, &burst)
		}
	}
	burst.End()
}
