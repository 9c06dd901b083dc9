package assistant

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/troupe-im/troupe/plugins/bots/assistant/talk"
	"github.com/troupe-im/troupe/plugins/sdk"
)

const (
	maxPictures = 3
	maxPicture  = 4 << 20 // bytes: OpenAI takes 20 MB, the gateway 20 MiB a request
	maxVoice    = 14 << 20
)

// seen are the kinds of pictures that models know.
var seen = map[string]bool{"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true}

// senses turns the files of a question into what a model takes, and says which model that is.
// why is for the person: there is no answer then.
func (b *bot) senses(c *sdk.Ctx, client *talk.Client, q *question, l lang) (model, why string, err error) {
	model = talk.Default
	var pictures, sounds []sdk.File
	for _, f := range q.files {
		switch {
		case seen[f.MIME]:
			pictures = append(pictures, f)
		case strings.HasPrefix(f.MIME, "audio/"):
			sounds = append(sounds, f)
		}
	}
	pictures, sounds = pictures[:min(len(pictures), maxPictures)], sounds[:min(len(sounds), 1)]
	if len(pictures)+len(sounds) == 0 {
		return model, "", nil
	}
	there, err := client.Models(c)
	if err != nil {
		var f *talk.Failure
		if errors.As(err, &f) {
			return "", talk.Words(f, bool(l)), nil
		}
		return "", "", err
	}
	if len(sounds) > 0 && b.cfg.Voice && there[talk.Speech] && sounds[0].Size <= maxVoice {
		f, data, err := c.File(sounds[0].ID)
		if err != nil {
			return "", "", err
		}
		heard, err := client.Hear(c, name(f, sounds[0]), bytes.NewReader(data))
		var fail *talk.Failure
		if errors.As(err, &fail) {
			return "", talk.Words(fail, bool(l)), nil
		}
		if err != nil {
			return "", "", err
		}
		q.text = strings.TrimSpace(q.text + "\n" + heard)
		if q.text == "" {
			return "", l.say("我没有听清这段语音。", "I could not make out what you said."), nil
		}
	} else if len(sounds) > 0 && q.text == "" {
		return "", l.say("这里的模型听不了语音，请打字告诉我。", "The model here cannot hear. Please write it."), nil
	}
	if len(pictures) == 0 {
		return model, "", nil
	}
	if !b.cfg.Pictures || !there[talk.Vision] {
		if q.text == "" {
			return "", l.say("这里的模型看不了图片，请用文字描述。", "The model here cannot see pictures. Please describe it."), nil
		}
		q.text += "\n" + filesOf(pictures) + " (you cannot see it; say so if it matters)"
		return model, "", nil
	}
	for _, p := range pictures {
		if p.Size > maxPicture {
			return "", l.say("图片太大了，最多 4 MiB。", "The picture is too large: 4 MiB at most."), nil
		}
		f, data, err := c.File(p.ID)
		if err != nil {
			return "", "", err
		}
		if len(data) > maxPicture {
			return "", l.say("图片太大了，最多 4 MiB。", "The picture is too large: 4 MiB at most."), nil
		}
		mime := f.MIME
		if !seen[mime] {
			mime = p.MIME
		}
		q.pictures = append(q.pictures, "data:"+mime+";base64,"+base64.StdEncoding.EncodeToString(data))
	}
	return talk.Vision, "", nil
}

// name is a sound's, by whose ending the provider tells what it is.
func name(is, said sdk.File) string {
	for _, f := range []sdk.File{is, said} {
		if strings.Contains(f.Name, ".") {
			return f.Name
		}
	}
	return "voice.ogg"
}
