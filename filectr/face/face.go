// Package face draws the pictures of people and groups that have none of their own. It
// reads nothing that anybody sent: an id becomes a pattern, and raw pixels, which the
// file centre has kept of chosen pictures, are put beside each other.
package face

import (
	"bytes"
	"crypto/sha256"
	"image"
	"image/color"
	"image/png"
	"math"
	"sync"
)

// Made draws the picture of an id as PNG, size pixels wide and high: a pattern of round
// and straight pieces, the same on both sides, in pastel tones of one hue. The same id
// has the same picture for ever, up to Version.
func Made(id string, size int) ([]byte, error) {
	m := draw(id, size)
	var b bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestSpeed, BufferPool: (*pool)(&buffers)}).Encode(&b, m)
	return b.Bytes(), err
}

// pool keeps the encoder's buffers, which are a megabyte, from one picture to the next.
type pool sync.Pool

var buffers sync.Pool

func (p *pool) Get() *png.EncoderBuffer {
	b, _ := (*sync.Pool)(p).Get().(*png.EncoderBuffer)
	return b
}

func (p *pool) Put(b *png.EncoderBuffer) { (*sync.Pool)(p).Put(b) }

// Version is of how pictures are drawn: another one draws others.
const Version = "1"

const (
	cells  = 4  // a side
	steps  = 16 // between two tones, at the edge of a piece
	fine   = 4  // points a side of a pixel that are looked at
	margin = 0.12
)

// draw makes a picture of three tones and what lies between the ground and the two others.
func draw(id string, size int) *image.Paletted {
	sum := sha256.Sum256([]byte(id))
	p := pattern(sum)
	m := image.NewPaletted(image.Rect(0, 0, size, size), tones(sum))
	half := (size + 1) / 2
	above, below := make([]int, half+1), make([]int, half+1) // what is seen at the corners of a row's pixels
	corners := func(at []int, y int) {
		for x := range at {
			at[x] = p.point(float64(x), float64(y), float64(size))
		}
	}
	corners(above, 0)
	for y := range size {
		corners(below, y+1)
		row := m.Pix[y*m.Stride:][:size]
		for x := range half {
			if at := above[x]; at == above[x+1] && at == below[x] && at == below[x+1] { // no edge is that thin
				row[x] = [...]uint8{0, steps, 2 * steps}[at]
			} else {
				row[x] = p.edge(x, y, size)
			}
			row[size-1-x] = row[x]
		}
		above, below = below, above
	}
	return m
}

// tones are the ground, and two tones with the steps from the ground to each.
func tones(sum [32]byte) color.Palette {
	hue := float64(uint16(sum[0])<<8|uint16(sum[1])) / 65536 * 360
	turn := 24 + float64(sum[2]%5)*9
	if sum[2]&0x80 != 0 {
		turn = -turn
	}
	ground := pastel(hue, 0.62, 0.90)
	tone := [2][3]float64{pastel(hue, 0.55, 0.70), pastel(hue+turn, 0.62, 0.80)}
	p := make(color.Palette, 0, 1+2*steps)
	p = append(p, solid(ground))
	for _, t := range tone {
		for i := 1; i <= steps; i++ {
			var c [3]float64
			for k := range c {
				c[k] = ground[k] + (t[k]-ground[k])*float64(i)/steps
			}
			p = append(p, solid(c))
		}
	}
	return p
}

func solid(c [3]float64) color.RGBA {
	b := func(v float64) uint8 { return uint8(math.Round(255 * min(1, max(0, v)))) }
	return color.RGBA{b(c[0]), b(c[1]), b(c[2]), 255}
}

// pastel is hue (degrees), saturation and lightness (0 to 1) as red, green and blue.
func pastel(h, s, l float64) [3]float64 {
	a := s * min(l, 1-l)
	part := func(n float64) float64 {
		k := math.Mod(math.Mod(n+h/30, 12)+12, 12)
		return l - a*max(-1, min(k-3, 9-k, 1))
	}
	return [3]float64{part(0), part(8), part(4)}
}

// piece is what stands in one cell.
type piece struct {
	shape uint8 // 0: nothing
	turn  uint8 // quarter turns
	tone  uint8 // 0 or 1
}

const (
	nothing = iota
	disc
	quarter // of a disc as wide as the cell
	leaf    // two quarters that meet
	half
	whole
)

type patternOf [cells][cells / 2]piece

// pattern takes the pieces from what an id's sum says, and leaves no picture empty.
func pattern(sum [32]byte) (p patternOf) {
	filled := 0
	for y := range p {
		for x := range p[y] {
			b := sum[4+2*(y*cells/2+x):]
			p[y][x] = piece{shape: [...]uint8{nothing, disc, quarter, quarter, leaf, leaf, half, whole}[b[0]&7], turn: b[1] & 3, tone: b[1] >> 2 & 1}
			if p[y][x].shape != nothing {
				filled++
			}
		}
	}
	for i := 0; filled < 4; i++ {
		if c := &p[i%cells][(i+1)/cells%2]; c.shape == nothing {
			*c, filled = piece{shape: leaf, turn: sum[30] & 3, tone: uint8(i & 1)}, filled+1
		}
	}
	return p
}

// edge is the palette's index of a pixel of the left half in which pieces may end.
func (p *patternOf) edge(x, y, size int) uint8 {
	var hits [2]int
	for i := range fine * fine {
		at := p.point(float64(x)+(float64(i%fine)+0.5)/fine, float64(y)+(float64(i/fine)+0.5)/fine, float64(size))
		if at > 0 {
			hits[at-1]++
		}
	}
	switch {
	case hits[0] == 0 && hits[1] == 0:
		return 0
	case hits[0] >= hits[1]: // where both meet, the stronger one hides the other
		return uint8((hits[0] + hits[1]) * steps / (fine * fine))
	}
	return uint8(steps + (hits[0]+hits[1])*steps/(fine*fine))
}

// point is 0 where the ground is seen at a point of a picture, else 1 and the tone.
func (p *patternOf) point(x, y, size float64) int {
	x, y = (x/size-margin)/(1-2*margin)*cells, (y/size-margin)/(1-2*margin)*cells
	if x < 0 || y < 0 || y >= cells {
		return 0
	}
	cx, cy := min(int(x), cells/2-1), int(y)
	if c := p[cy][cx]; x < cells && c.covers(x-float64(cx), y-float64(cy)) {
		return 1 + int(c.tone)
	}
	return 0
}

// covers says whether a point of the cell, from 0 to 1, is in the piece.
func (c piece) covers(x, y float64) bool {
	for range c.turn {
		x, y = y, 1-x
	}
	switch c.shape {
	case disc:
		return (x-.5)*(x-.5)+(y-.5)*(y-.5) <= .2
	case quarter:
		return x*x+y*y <= 1
	case leaf:
		return x*x+y*y <= 1 && (1-x)*(1-x)+(1-y)*(1-y) <= 1
	case half:
		return (x-.5)*(x-.5)+y*y <= .25
	case whole:
		return true
	}
	return false
}
