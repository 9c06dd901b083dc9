package access

import (
	"fmt"
	"slices"
	"strings"
)

// marks are the cells as docs/access.md shows them.
var marks = [...]string{Deny: "no", Hide: "404", Sign: "401", Allow: "yes", Policy: "policy"}

// Markdown is the table as docs/access.md has it, with the frames of each action.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| to… | nobody | guest | stranger | former | member | session admin | owner | bot | server key | administrator | frames |\n")
	b.WriteString("|" + strings.Repeat("---|", int(subjects)+2) + "\n")
	for a := None + 1; a < actions; a++ {
		fmt.Fprintf(&b, "| %s |", a)
		for s := range subjects {
			verdict, scope := Of(a, s)
			if verdict == Scoped {
				fmt.Fprintf(&b, " `%s` |", scope)
			} else {
				fmt.Fprintf(&b, " %s |", marks[verdict])
			}
		}
		fmt.Fprintf(&b, " %s |\n", doing(a))
	}
	return b.String()
}

// doing lists the frames that do a, in order.
func doing(a Action) string {
	var all []string
	for name, actions := range frames {
		if slices.Contains(actions, a) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
