package main

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

// mayExport writes the export of a user into the audit log, before the first byte is out.
func (o *operator) mayExport(ctx context.Context, by string, user protocol.UserID) error {
	if _, err := o.users.User(ctx, user); err != nil {
		return err
	}
	return o.users.Exported(ctx, by, user)
}

// export writes all that is kept of one person as a ZIP: profile.json, avatar.jpg, and
// one JSON object a line in contacts, requests, sessions, messages (those that it wrote)
// and files (those that it uploaded), whose contents follow.
func (o *operator) export(ctx context.Context, user protocol.UserID, to io.Writer) error {
	u, err := o.users.User(ctx, user)
	if err != nil {
		return err
	}
	view, err := o.users.View(ctx, u)
	if err != nil {
		return err
	}
	z := zip.NewWriter(to)
	part := func(name string, write func(add func(any) error) error) {
		if err != nil {
			return
		}
		var w io.Writer
		if w, err = z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Now().UTC()}); err == nil {
			err = write(json.NewEncoder(w).Encode)
		}
	}
	part("profile.json", func(add func(any) error) error {
		return add(struct {
			User   any               `json:"user"`
			Avatar string            `json:"avatar,omitempty"`
			Fields map[string]string `json:"fields,omitempty"`
		}{view, u.Avatar, u.Fields})
	})
	if err == nil {
		err = o.exportAvatar(ctx, u.Avatar, z)
	}
	part("contacts.jsonl", func(add func(any) error) error { return o.exportContacts(ctx, user, add) })
	part("requests.jsonl", func(add func(any) error) error { return o.exportRequests(ctx, user, add) })
	part("sessions.jsonl", func(add func(any) error) error {
		ids, err := o.store.SessionsOf(ctx, user)
		if err != nil {
			return err
		}
		for _, id := range ids {
			v, err := o.session(ctx, id, "", 0)
			if err == nil {
				v.Next = ""
				err = add(v)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	part("messages.jsonl", func(add func(any) error) error {
		return o.store.WrittenBy(ctx, user, func(id protocol.SessionID, e *protocol.Entry) error {
			if e.Sender != user {
				return nil
			}
			if e.Deal != nil { // its own words, not a moderator's
				was, err := o.store.Original(ctx, id, e.Seq)
				if err != nil && !protocol.Code_NOT_FOUND.Is(err) {
					return err
				}
				if err == nil {
					e.Content, e.Mentions = was.Content, was.Mentions
				}
			}
			return add(e)
		})
	})
	part("files.jsonl", func(add func(any) error) error {
		return o.files.Owned(ctx, user, func(f *filectr.File) error {
			return add(struct {
				Content string `json:"content"`
				File    any    `json:"file"`
			}{contentName(f), filectr.View(f)})
		})
	})
	if err != nil {
		return err
	}
	if err := o.files.Owned(ctx, user, func(f *filectr.File) error { return o.exportContent(ctx, z, f) }); err != nil {
		return err
	}
	return z.Close()
}

// contentName is where an export has a file's content. A file's name is cleaned.
func contentName(f *filectr.File) string { return "files/" + f.ID + "/" + f.Name }

// exportContent adds a file's content as it is. One that is lost is not there; that
// it is, is in the log.
func (o *operator) exportContent(ctx context.Context, z *zip.Writer, f *filectr.File) error {
	blob, err := o.files.Contents(ctx, f)
	if errors.Is(err, filectr.ErrNoBlob) {
		o.log.Error("an export lacks a file whose content is missing", "file", f.ID)
		return nil
	}
	if err != nil {
		return err
	}
	defer blob.Close()
	w, err := z.CreateHeader(&zip.FileHeader{Name: contentName(f), Method: zip.Store, Modified: f.Created.UTC()})
	if err == nil {
		_, err = io.Copy(w, blob)
	}
	return err
}

const exportPage = 500

func (o *operator) exportContacts(ctx context.Context, user protocol.UserID, add func(any) error) error {
	for after := ""; ; {
		rows, _, err := o.store.ContactsOf(ctx, user, after, exportPage)
		if err != nil {
			return err
		}
		for _, c := range rows {
			err := add(struct {
				User    string   `json:"user"`
				Friend  bool     `json:"friend"`
				Blocked bool     `json:"blocked"`
				Remark  string   `json:"remark,omitempty"`
				Tags    []string `json:"tags,omitempty"`
				Since   int64    `json:"since,omitempty"`
			}{c.Other, c.Friend, c.Blocked, c.Remark, c.Tags, c.Since})
			if err != nil {
				return err
			}
			after = c.Other
		}
		if len(rows) < exportPage {
			return nil
		}
	}
}

func (o *operator) exportRequests(ctx context.Context, user protocol.UserID, add func(any) error) error {
	page := actors.RequestPage{Limit: exportPage}
	for {
		rows, err := o.store.RequestsOf(ctx, user, page)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := add(r); err != nil {
				return err
			}
			page.After.CreateTime, page.After.ID = r.CreateTime, r.Id
		}
		if len(rows) < exportPage {
			return nil
		}
	}
}

// exportAvatar writes avatar.jpg, where the user has chosen a picture.
func (o *operator) exportAvatar(ctx context.Context, avatar string, z *zip.Writer) error {
	if _, chosen := protocol.ChosenAvatar(avatar); !chosen {
		return nil
	}
	picture, err := o.files.OpenAvatar(ctx, avatar)
	if protocol.Code_NOT_FOUND.Is(err) { // changed meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	defer picture.Close()
	w, err := z.CreateHeader(&zip.FileHeader{Name: "avatar.jpg", Method: zip.Store, Modified: time.Now().UTC()})
	if err == nil {
		_, err = io.Copy(w, picture)
	}
	return err
}
