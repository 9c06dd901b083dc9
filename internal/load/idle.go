package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// idle connects o.connections users, each with a token, lets the server settle, and
// says what a connection costs: CPU to make, memory to keep.
func idle(ctx context.Context, o *options, t *target, w wire) (*Result, error) {
	// The token is made before, as making it is not the server's work.
	before := t.own()
	begin, cpu := time.Now(), t.cpu()
	conns, err := connect(ctx, t, w, 0, o.connections)
	if err != nil {
		return nil, err
	}
	defer closeAll(conns)
	took := time.Since(begin)
	cpu = t.cpu() - cpu
	if err := rest(ctx, o.settle, conns); err != nil {
		return nil, err
	}
	own := t.own()
	res := &Result{
		Seconds: took.Seconds(), Connections: len(conns), PSS: t.pss(),
		CPUPerConnect: perUnit(cpu, int64(len(conns))), BytesPerConnection: float64(own-before) / float64(len(conns)),
	}
	// Who was thrown out meanwhile would make the others look cheap.
	var mu sync.Mutex
	err = each(ctx, len(conns), 64, func(i int) error {
		conns[i].nc.SetReadDeadline(time.Now().Add(time.Millisecond))
		for {
			_, err := conns[i].receive()
			if err == nil {
				continue // a notice of some kind
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				mu.Lock()
				defer mu.Unlock()
				res.Checks.Broken++
				res.Checks.say("connection %d: %v", i, err)
			}
			return nil
		}
	})
	if err != nil {
		return nil, err
	}
	// Once more: now the server knows the users, as it mostly does.
	closeAll(conns)
	cpu = t.cpu()
	again, err := connect(ctx, t, w, 0, o.connections)
	if err != nil {
		return nil, err
	}
	res.CPUPerReconnect = perUnit(t.cpu()-cpu, int64(len(again)))
	closeAll(again)
	return res, nil
}

// beatEvery is how often a resting connection gives a sign of life.
const beatEvery = 20 * time.Second

// rest lets time pass, and keeps the connections alive meanwhile.
func rest(ctx context.Context, d time.Duration, conns []*conn) error {
	end := time.After(d)
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			return nil
		case <-beat.C:
			for _, c := range conns {
				if b := c.wire.beat(); b != nil {
					c.write(c.wire.opcode(), b) // who was cut off is found at the end
				}
			}
		}
	}
}

func checkConnections(n int) error {
	const most = 19_500 // of the 20,000 files that one process may often open
	if n > most {
		return fmt.Errorf("at most %d connections", most)
	}
	return nil
}
