package moderator

// builtin is where everybody begins: insults are starred, what swindlers write is held
// until somebody has looked. An installation that wants none of it says so in its
// settings; one word is taken out by /mod allow.
var builtin = map[level][]string{
	hide: {
		"asshole", "bastard", "bitch", "cunt", "dickhead", "fuck", "fucker", "fucking", "motherfucker", "shit", "bullshit", "slut", "whore",
		"傻逼", "傻b", "煞笔", "操你妈", "草泥马", "他妈的", "妈的", "狗日的", "王八蛋", "婊子", "贱人", "去死", "脑残", "滚蛋", "nmsl", "cnm",
	},
	hold: {
		"viagra", "online casino", "double your bitcoin", "wire transfer fee", "send me your password",
		"代开发票", "开发票加", "刷单", "裸聊", "约炮", "赌博", "博彩", "六合彩", "网赌", "高利贷", "套现", "办证", "私彩", "包赚", "稳赚不赔", "加微信领",
	},
}
