package redisstreams

import (
	"context"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/streamstest"
)

func TestStreamsOverOneRedis(t *testing.T) {
	t.Parallel()
	streamstest.Run(t, func(t *testing.T) streamstest.Cluster {
		redis := redisServer(t)
		return streamstest.Cluster{
			Node: func(t *testing.T) actors.Streams { return open(t, quick(redis.config())) },
			Lose: func(t *testing.T, node actors.Streams) {
				if err := redis.Del(context.Background(), node.(*Streams).place.Load().stream).Err(); err != nil {
					t.Error(err)
				}
			},
		}
	})
}
