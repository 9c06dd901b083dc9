package redisstreams

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Attendance keeps in Redis what the nodes say of who is there. A user is a hash of
// what each node said, the newest with the highest number; a node's word is good while
// its lease is there, which Redis ends by its own clock. A lease that ended is never
// taken up again: the node says everything anew under another one, so that whoever
// clears up behind the old one touches nothing of the new one.
type Attendance struct {
	s *Streams

	mu     sync.Mutex
	leases map[string]lease // by node; of this process
}

// lease is what a node speaks under.
type lease struct {
	id     string
	doubts int64 // how often Redis had been doubted when it was taken
}

// Attendance gives what nodes that share this Redis keep of who is there.
func (s *Streams) Attendance() *Attendance {
	return &Attendance{s: s, leases: map[string]lease{}}
}

func (a *Attendance) leaseKey(id string) string { return a.s.key("lease:{" + id + "}") }

// hereKey is a set of the users of whom a lease says something.
func (a *Attendance) hereKey(id string) string { return a.s.key("here:{" + id + "}") }

func (a *Attendance) seenKey(user protocol.UserID) string { return a.s.key("seen:{" + user + "}") }

// attending is a set of all leases.
func (a *Attendance) attending() string { return a.s.key("attending") }

// Renew fills actors.Attendance. After a doubt of what Redis has, everything is said anew.
func (a *Attendance) Renew(ctx context.Context, node string, ttl time.Duration) (forgotten bool, err error) {
	a.mu.Lock()
	l, ok := a.leases[node]
	a.mu.Unlock()
	doubts := a.s.doubts.Load()
	if ok && l.doubts == doubts {
		held, err := a.s.db.PExpire(ctx, a.leaseKey(l.id), ttl).Result()
		if err != nil || held {
			return false, err
		}
	}
	if ok { // what was said under it goes when it is cleared up
		if err := a.s.db.Del(ctx, a.leaseKey(l.id)).Err(); err != nil {
			return false, err
		}
	}
	l = lease{newID(), doubts}
	// In this order: whoever clears up strikes leases off the list that have ended.
	if err := a.s.db.Set(ctx, a.leaseKey(l.id), 1, ttl).Err(); err != nil {
		return false, err
	}
	if err := a.s.db.SAdd(ctx, a.attending(), l.id).Err(); err != nil {
		return false, err
	}
	a.mu.Lock()
	a.leases[node] = l
	a.mu.Unlock()
	return true, nil
}

// say is a script, as how a user was seen before and is seen now has to be known of the
// same moment. A field is a lease's, its value "number status time"; "#" counts. With
// status offline a field goes.
const say = `
local function seen()
	local all, best, s, at = redis.call('HGETALL', KEYS[1]), -1, 'offline', '0'
	for i = 1, #all, 2 do
		if all[i] ~= '#' then
			local n, status, time = string.match(all[i+1], '^(%d+) (%a+) (%d+)$')
			if n and tonumber(n) > best then best, s, at = tonumber(n), status, time end
		end
	end
	return s, at, best
end
local before, was = seen()
if ARGV[2] == 'offline' then
	redis.call('HDEL', KEYS[1], ARGV[1])
else
	local n = redis.call('HINCRBY', KEYS[1], '#', 1)
	redis.call('HSET', KEYS[1], ARGV[1], n .. ' ' .. ARGV[2] .. ' ' .. ARGV[3])
end
local now, at, best = seen()
if best < 0 then redis.call('DEL', KEYS[1]) end
return {before, was, now, at}
`

// said is one user's answer of the script.
type said struct {
	user        protocol.UserID
	before, now string
	was, at     int64
}

// speak runs the script for each of users, and gives what changed for how they are seen.
func (a *Attendance) speak(ctx context.Context, lease string, users []actors.Standing) ([]said, error) {
	pipe := a.s.db.Pipeline()
	cmds := make([]*redis.Cmd, len(users))
	for i, u := range users {
		cmds[i] = pipe.Eval(ctx, say, []string{a.seenKey(u.User)}, lease, u.Status, strconv.FormatInt(max(0, u.LastActive), 10))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	var changed []said
	for i, c := range cmds {
		v, err := c.StringSlice()
		if err != nil || len(v) != 4 {
			return nil, fmt.Errorf("redisstreams: how a user is seen: %v, %w", v, err)
		}
		one := said{user: users[i].User, before: v[0], now: v[2]}
		one.was, _ = strconv.ParseInt(v[1], 10, 64)
		one.at, _ = strconv.ParseInt(v[3], 10, 64)
		if one.before != one.now {
			changed = append(changed, one)
		}
	}
	return changed, nil
}

// Put fills actors.Attendance. After an error it is not known which of users took
// effect, and to say them again does no harm, but for a change that nobody is told of.
func (a *Attendance) Put(ctx context.Context, node string, users []actors.Standing) (changed []actors.Standing, err error) {
	a.mu.Lock()
	l, ok := a.leases[node]
	a.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("redisstreams: node %s has no lease", node)
	}
	var come, go_ []any
	active := make(map[protocol.UserID]int64, len(users))
	for _, u := range users {
		active[u.User] = u.LastActive
		if u.Status == offline {
			go_ = append(go_, u.User)
		} else {
			come = append(come, u.User)
		}
	}
	if len(come) > 0 { // first, so that nobody is seen whom nobody would clear up
		if err := a.s.db.SAdd(ctx, a.hereKey(l.id), come...).Err(); err != nil {
			return nil, err
		}
		if err := a.s.db.SAdd(ctx, a.attending(), l.id).Err(); err != nil { // see strike
			return nil, err
		}
	}
	all, err := a.speak(ctx, l.id, users)
	if err != nil {
		return nil, err
	}
	if len(go_) > 0 {
		if err := a.s.db.SRem(ctx, a.hereKey(l.id), go_...).Err(); err != nil {
			a.s.failed(err) // it is cleared up with the lease
		}
	}
	for _, one := range all {
		s := actors.Standing{User: one.user, Status: one.now, LastActive: one.at}
		if one.now == offline {
			s.LastActive = active[one.user]
		}
		changed = append(changed, s)
	}
	return changed, nil
}

const offline = "offline"

// Find fills actors.Attendance. Who is on a dead node alone is offline at once.
func (a *Attendance) Find(ctx context.Context, ids []protocol.UserID) (seen []actors.Standing, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	pipe := a.s.db.Pipeline()
	cmds := make([]*redis.MapStringStringCmd, len(ids))
	for i, id := range ids {
		cmds[i] = pipe.HGetAll(ctx, a.seenKey(id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	good := map[string]bool{}
	for _, c := range cmds {
		for id := range c.Val() {
			if id != "#" {
				good[id] = false
			}
		}
	}
	if err := a.good(ctx, good); err != nil {
		return nil, err
	}
	for i, c := range cmds {
		s, best := actors.Standing{User: ids[i]}, int64(-1)
		for id, value := range c.Val() {
			part := strings.Split(value, " ")
			if !good[id] || len(part) != 3 {
				continue
			}
			n, _ := strconv.ParseInt(part[0], 10, 64)
			if n > best {
				best, s.Status = n, part[1]
				s.LastActive, _ = strconv.ParseInt(part[2], 10, 64)
			}
		}
		if best >= 0 {
			seen = append(seen, s)
		}
	}
	return seen, nil
}

// good finds out which leases still hold.
func (a *Attendance) good(ctx context.Context, leases map[string]bool) error {
	if len(leases) == 0 {
		return nil
	}
	pipe := a.s.db.Pipeline()
	cmds := make(map[string]*redis.IntCmd, len(leases))
	for id := range leases {
		cmds[id] = pipe.Exists(ctx, a.leaseKey(id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for id, c := range cmds {
		leases[id] = c.Val() > 0
	}
	return nil
}

// How many users of a dead node are cleared up in one exchange with Redis, and in how
// many exchanges of one call: the rest is done at the next beat.
const (
	clearedAtOnce = 500
	clearings     = 20
)

// Lapsed fills actors.Attendance. Several nodes may clear up at once: a user's field is
// removed by one of them, which is the one that is given the change.
func (a *Attendance) Lapsed(ctx context.Context) (lapsed []actors.Standing, err error) {
	ids, err := a.s.db.SMembers(ctx, a.attending()).Result()
	if err != nil {
		return nil, err
	}
	leases := make(map[string]bool, len(ids))
	for _, id := range ids {
		leases[id] = false
	}
	if err := a.good(ctx, leases); err != nil {
		return nil, err
	}
	rounds := clearings
	for id, good := range leases {
		if good {
			continue
		}
		for ; rounds > 0; rounds-- {
			users, err := a.s.db.SRandMemberN(ctx, a.hereKey(id), clearedAtOnce).Result()
			if err != nil {
				return lapsed, err
			}
			if len(users) == 0 {
				if err := a.strike(ctx, id); err != nil {
					return lapsed, err
				}
				break
			}
			all, err := a.remove(ctx, id, users)
			lapsed = append(lapsed, all...)
			if err != nil {
				return lapsed, err
			}
		}
	}
	return lapsed, nil
}

// strike takes a lease off the list, of which nothing is left. Its node, which may have
// slept, puts it back before it says something under it: so it is looked once more.
func (a *Attendance) strike(ctx context.Context, lease string) error {
	if err := a.s.db.SRem(ctx, a.attending(), lease).Err(); err != nil {
		return err
	}
	n, err := a.s.db.Exists(ctx, a.hereKey(lease)).Result()
	if err != nil || n == 0 {
		return err
	}
	return a.s.db.SAdd(ctx, a.attending(), lease).Err()
}

func (a *Attendance) remove(ctx context.Context, lease string, users []string) (lapsed []actors.Standing, err error) {
	gone, members := make([]actors.Standing, len(users)), make([]any, len(users))
	for i, user := range users {
		gone[i], members[i] = actors.Standing{User: user, Status: offline}, user
	}
	all, err := a.speak(ctx, lease, gone)
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		lapsed = append(lapsed, actors.Standing{User: one.user, Status: one.now, LastActive: max(one.at, one.was)})
	}
	return lapsed, a.s.db.SRem(ctx, a.hereKey(lease), members...).Err()
}

var _ actors.Attendance = (*Attendance)(nil)
