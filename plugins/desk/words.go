package desk

import (
	"context"
	"regexp"
	"strings"
	"unicode"

	"github.com/troupe-im/troupe/internal/protocol"
)

// language is all that the desk itself says to people.
type language struct {
	late, notOwner, usage, ambiguous string
	missing, notOne, badInt, badNum  string
	badBool, badDuration, badUser    string
	badChoice, tooSmall, tooLarge    string
	tooMuch, badArgs, badName        string
	consentTitle, consentText        string
	readAll, moderate, allow, deny   string
	allowed, denied, consentGone     string
	loop, human, bot, handoffFor     string
	interrupted                      string
	toolTitle, toolText, run, cancel string
	notAsker, toolGone, toolFailed   string
	more                             string
}

var english = language{
	late: "This came too late: the bot was away.", notOwner: "Only the owner and the admins of this group decide that.",
	usage: "Usage: %s", ambiguous: "Several bots have this command. Say which: %s",
	missing: "%s is missing.", notOne: "%s: one word is needed; put several in quotes.", badInt: "%s: a whole number is needed.",
	badNum: "%s: a number is needed.", badBool: "%s: yes or no?", badDuration: "%s: a time like 90s, 10m, 2h or 3d is needed.",
	badUser: "%s: mention somebody who is here.", badChoice: "%s: one of %s.", tooSmall: "%s: at least %v.", tooLarge: "%s: at most %v.",
	tooMuch: "That is more than the command takes: %s", badArgs: "The arguments cannot be read.", badName: "There is no argument %s.",
	consentTitle: "May %s do this here?", consentText: "Until the owner or an admin allows it, the bot gets only what is meant for it.",
	readAll: "reads all messages of this group", moderate: "looks at messages before others see them", allow: "Allow", deny: "Deny",
	allowed: "Allowed.", denied: "Not allowed.", consentGone: "Consent of %s: %s",
	loop:  "%s and %s were talking in circles. Both are quiet here for 10 minutes.",
	human: "People take over here. /bot brings the bot back.", bot: "The bot is back.", handoffFor: "The bot asks you to take over: %s",
	interrupted: "[interrupted]",
	toolTitle:   "May this be done?", toolText: "%s wants to run /%s of %s", run: "Run", cancel: "Do not",
	notAsker: "Only who asked the bot decides that.", toolGone: "This was decided already, or its time is over.",
	toolFailed: "/%s was not done: the bot could not do it.", more: " […%d more letters…] ",
}

var chinese = language{
	late: "消息送达太晚：机器人当时不在线。", notOwner: "只有群主和管理员可以决定。",
	usage: "用法：%s", ambiguous: "有多个机器人提供此命令，请指明：%s",
	missing: "缺少参数 %s。", notOne: "%s：需要一个词；多个词请加引号。", badInt: "%s：需要整数。",
	badNum: "%s：需要数字。", badBool: "%s：是还是否？", badDuration: "%s：需要时长，例如 90s、10m、2h、3d。",
	badUser: "%s：请 @ 一位本会话成员。", badChoice: "%s：可选 %s。", tooSmall: "%s：不能小于 %v。", tooLarge: "%s：不能大于 %v。",
	tooMuch: "多余的内容：%s", badArgs: "无法读取参数。", badName: "没有参数 %s。",
	consentTitle: "是否允许 %s 在本群：", consentText: "在群主或管理员允许之前，它只能收到发给它的消息。",
	readAll: "读取本群所有消息", moderate: "在他人看到之前审核消息", allow: "允许", deny: "拒绝",
	allowed: "已允许。", denied: "已拒绝。", consentGone: "%s 的授权：%s",
	loop:  "%s 和 %s 在循环对话，已在本会话静音 10 分钟。",
	human: "已转人工。发送 /bot 可重新启用机器人。", bot: "机器人已恢复。", handoffFor: "机器人请您接手：%s",
	interrupted: "[已中断]",
	toolTitle:   "是否执行？", toolText: "%s 想执行 %[3]s 的命令 /%[2]s", run: "执行", cancel: "不执行",
	notAsker: "只有提问者可以决定。", toolGone: "已经决定过，或已过期。",
	toolFailed: "/%s 没有执行：机器人无法完成。", more: " […另有 %d 字…] ",
}

func words(locale string) *language {
	if strings.HasPrefix(locale, "zh") {
		return &chinese
	}
	return &english
}

// locale is the installation's; en where it says nothing.
func (d *Desks) locale() string {
	if d.cfg.Locale == "" {
		return "en"
	}
	return d.cfg.Locale
}

var goodLocale = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$`)

// localeOf is the language of who said e: what the client says in content.data.troupe.locale, what
// the profile says in its field locale, the installation's. Where that says nothing, it is
// told by the letters: Chinese ones are zh-CN.
func (d *Desks) localeOf(ctx context.Context, e *protocol.Entry) string {
	if c := e.Content; c != nil {
		if said := troupeOf(c).Locale; goodLocale.MatchString(said) {
			return said
		}
	}
	if own := d.people.locale(ctx, e.Sender); goodLocale.MatchString(own) {
		return own
	}
	if d.cfg.Locale == "" && strings.ContainsFunc(e.GetContent().GetText(), func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		return "zh-CN"
	}
	return d.locale()
}
