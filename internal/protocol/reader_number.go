package protocol

import "strconv"

// number takes a number as it is written; whole says that it has no fraction and
// no exponent.
func (r *reader) number() (digits []byte, whole bool) {
	i := r.pos
	at := func() byte {
		if i < len(r.data) {
			return r.data[i]
		}
		return 0
	}
	run := func() bool {
		from := i
		for c := at(); c >= '0' && c <= '9'; c = at() {
			i++
		}
		return i > from
	}
	if at() == '-' {
		i++
	}
	zero := at() == '0'
	from := i
	ok := run() && (!zero || i == from+1)
	whole = true
	if ok && at() == '.' {
		i++
		whole, ok = false, run()
	}
	if c := at(); ok && (c == 'e' || c == 'E') {
		i++
		if c := at(); c == '+' || c == '-' {
			i++
		}
		whole, ok = false, run()
	}
	digits = r.data[r.pos:i]
	r.pos = i
	if !ok {
		r.syntax()
	}
	return digits, whole
}

func (r *reader) atNumber() bool {
	c := r.space()
	return c == '-' || c >= '0' && c <= '9'
}

// int reads an integer within ±2^53.
func (r *reader) int() int64 {
	if r.err != nil {
		return 0
	}
	if !r.atNumber() {
		r.wrong("a whole number is needed")
		return 0
	}
	digits, whole := r.number()
	if r.err != nil {
		return 0
	}
	if !whole {
		r.bad("a whole number is needed")
		return 0
	}
	negative := digits[0] == '-'
	if negative {
		digits = digits[1:]
	}
	var n int64
	for _, c := range digits {
		if n = n*10 + int64(c-'0'); n > maxInteger {
			r.fail(Code_OUT_OF_RANGE, "a whole number within 2^53 is needed")
			return 0
		}
	}
	if negative {
		n = -n
	}
	return n
}

// int32 reads an integer of 32 bits.
func (r *reader) int32() int32 {
	n := r.int()
	if int64(int32(n)) != n {
		r.fail(Code_OUT_OF_RANGE, "a whole number within 2^31 is needed")
		return 0
	}
	return int32(n)
}

func (r *reader) double() float64 {
	if r.err != nil {
		return 0
	}
	if !r.atNumber() {
		r.wrong("a number is needed")
		return 0
	}
	digits, _ := r.number()
	if r.err != nil {
		return 0
	}
	x, err := strconv.ParseFloat(string(digits), 64)
	if err != nil {
		r.fail(Code_OUT_OF_RANGE, "a number that a double holds is needed")
		return 0
	}
	return x
}
