package face

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
)

// TileSide is in pixels. It is enough for one of four beside each other in a picture of 320.
const TileSide = 128

// TileBytes is the size of a tile: red, green and blue of each pixel.
const TileBytes = 3 * TileSide * TileSide

// MaxTiles is how many faces a group's picture shows.
const MaxTiles = 9

// Tile is the picture of an id as raw pixels.
func Tile(id string) []byte {
	m := draw(id, TileSide)
	raw := make([]byte, 0, TileBytes)
	for _, i := range m.Pix {
		c := m.Palette[i].(color.RGBA)
		raw = append(raw, c.R, c.G, c.B)
	}
	return raw
}

// rows is how many faces stand in each row, by how many there are.
var rows = [MaxTiles + 1][]int{1: {1}, 2: {2}, 3: {1, 2}, 4: {2, 2}, 5: {2, 3}, 6: {3, 3}, 7: {1, 3, 3}, 8: {2, 3, 3}, 9: {3, 3, 3}}

// Grid puts tiles beside each other, MaxTiles at most, as JPEG, size pixels wide and high.
func Grid(tiles [][]byte, size int) ([]byte, error) {
	if len(tiles) < 1 || len(tiles) > MaxTiles {
		return nil, fmt.Errorf("face: %d tiles", len(tiles))
	}
	for _, t := range tiles {
		if len(t) != TileBytes {
			return nil, fmt.Errorf("face: a tile of %d bytes", len(t))
		}
	}
	m := image.NewRGBA(image.Rect(0, 0, size, size))
	for i := range m.Pix {
		m.Pix[i] = [4]byte{0xe8, 0xea, 0xee, 0xff}[i%4]
	}
	layout := rows[len(tiles)]
	gap := max(1, size/40)
	columns := max(layout[len(layout)-1], len(layout))
	if columns == 1 {
		gap = 0
	}
	side := (size - gap*(columns+1)) / columns
	y := (size - len(layout)*side - (len(layout)-1)*gap) / 2
	for _, n := range layout {
		x := (size - n*side - (n-1)*gap) / 2
		for range n {
			put(m, tiles[0], x, y, side)
			tiles = tiles[1:]
			x += side + gap
		}
		y += side + gap
	}
	var b bytes.Buffer
	err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 88})
	return b.Bytes(), err
}

// put draws a tile side pixels wide: each pixel is the mean of those below it, or of
// the nearest four where there are no whole ones.
func put(m *image.RGBA, tile []byte, left, top, side int) {
	step := float64(TileSide) / float64(side)
	reach := max(step, 1)
	cover := func(i int) (from, to int) {
		mid := (float64(i) + 0.5) * step
		return max(0, int(mid-reach/2)), min(TileSide, int(mid+reach/2+0.999))
	}
	for y := range side {
		y0, y1 := cover(y)
		for x := range side {
			x0, x1 := cover(x)
			var sum [3]int
			for ty := y0; ty < y1; ty++ {
				row := tile[3*(ty*TileSide+x0) : 3*(ty*TileSide+x1)]
				for i := 0; i < len(row); i += 3 {
					sum[0] += int(row[i])
					sum[1] += int(row[i+1])
					sum[2] += int(row[i+2])
				}
			}
			n := (y1 - y0) * (x1 - x0)
			at := m.Pix[m.PixOffset(left+x, top+y):]
			at[0], at[1], at[2] = uint8(sum[0]/n), uint8(sum[1]/n), uint8(sum[2]/n)
		}
	}
}
