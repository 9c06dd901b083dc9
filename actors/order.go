package actors

import (
	"cmp"
	"slices"
)

// order is a session's members in order of joining. Taking one in or out, or
// changing one, is O(log n), so that a hundred thousand may join one by one: who
// leaves leaves a hole, and the holes go when they are the greater part.
type order struct {
	places []spot
	first  int // there are only holes before it
	holes  int // at or behind first

	leaders map[int64]*MemberRow // by their Order: who leads, which of all are few
}

type spot struct {
	at  int64      // the row's Order
	row *MemberRow // nil: a hole
}

// orderOf is rows that are in order of joining.
func orderOf(rows []*MemberRow) order {
	o := order{places: make([]spot, len(rows))}
	for i, m := range rows {
		o.places[i] = spot{m.Order, m}
		o.led(m)
	}
	return o
}

// led keeps the leaders as row says.
func (o *order) led(row *MemberRow) {
	switch {
	case !leads(row):
		delete(o.leaders, row.Order)
	case o.leaders == nil:
		o.leaders = map[int64]*MemberRow{row.Order: row}
	default:
		o.leaders[row.Order] = row
	}
}

func (o *order) find(at int64) int {
	i, _ := slices.BinarySearchFunc(o.places, at, func(p spot, at int64) int { return cmp.Compare(p.at, at) })
	return i
}

// add puts a row behind all others.
func (o *order) add(row *MemberRow) {
	o.places = append(o.places, spot{row.Order, row})
	o.led(row)
}

// replace puts a changed row in the place of the one with the same Order.
func (o *order) replace(row *MemberRow) {
	if i := o.find(row.Order); i < len(o.places) && o.places[i].at == row.Order {
		o.places[i].row = row
		o.led(row)
	}
}

func (o *order) remove(row *MemberRow) {
	i := o.find(row.Order)
	if i == len(o.places) || o.places[i].at != row.Order || o.places[i].row == nil {
		return
	}
	o.places[i].row = nil
	delete(o.leaders, row.Order)
	o.holes++
	for o.first < len(o.places) && o.places[o.first].row == nil {
		o.first, o.holes = o.first+1, o.holes-1
	}
	if o.first+o.holes > len(o.places)/2 {
		o.places = slices.DeleteFunc(o.places, func(p spot) bool { return p.row == nil })
		o.first, o.holes = 0, 0
	}
}

// head is the member who joined first of those who are in, nil: there is none.
func (o *order) head() *MemberRow {
	if o.first < len(o.places) {
		return o.places[o.first].row
	}
	return nil
}

// after gives up to limit members behind the one with this Order, and whether there are more.
func (o *order) after(at int64, limit int) (rows []*MemberRow, more bool) {
	for _, p := range o.places[max(o.first, o.find(at+1)):] {
		switch {
		case p.row == nil:
		case len(rows) == limit:
			return rows, true
		default:
			rows = append(rows, p.row)
		}
	}
	return rows, false
}
