package rows

import "slices"

// Tables are those of this package, by whom they are of: the first bytes of their keys. A row is the
// same in whatever store it is, so that a store can be moved by copying rows.
var Tables = map[string][]byte{
	"files": {
		tableFile, tableFiles, tableRoom, tableReserved, tableRefer, tableTies, tableLoose, tableBlob, tableAppRoom,
	},
	"avatars":  {tableAvatar, tableAvatarIdle},
	"releases": {tableRelease},
	"previews": {tablePreview, tablePreviewUsed, tablePreviewPic},
	"reviews":  {tableDeal},
	"usage":    {tableUsage, tableUsageDays},
	"bots": {
		tableBotBytes, tableBotWish, tableBotTries, tableBotDead, tableBotKey, tableBotKeyEnds, tableBotDue, tableBotSchedule,
	},
	"remote bots": {tableRemote, tableHook},
}

// Has says whether a table is one of this package's.
func Has(table byte) bool {
	for _, tables := range Tables {
		if slices.Contains(tables, table) {
			return true
		}
	}
	return false
}
