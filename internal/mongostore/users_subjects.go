package mongostore

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// subjectDoc says which user an outside system's subject is. It is inserted before the user, so that of many who
// meet a subject first all make the same user. Where a crash left it without one, whoever meets the
// subject next makes it.
type subjectDoc struct {
	ID    string `bson:"_id"` // its mark, as nobody else ever has it
	Mark  string `bson:"mark"`
	Key   string `bson:"key"` // joined realm and subject; unique
	Realm string `bson:"realm"`
	Sub   string `bson:"sub"`
	User  string `bson:"user"`
}

func subjectKey(of userctr.Subject) string { return joined(of.Realm, of.Sub) }

// Subject fills userctr.SubjectStore.
func (s *Store) Subject(ctx context.Context, of userctr.Subject) (protocol.UserID, error) {
	none := protocol.NotFound("a subject of %s", of.Realm)
	d, err := s.subject(ctx, of)
	if err != nil || d == nil {
		return "", either(err, none)
	}
	missing, err := s.Missing(ctx, []protocol.UserID{d.User})
	if err != nil || len(missing) > 0 {
		return "", either(err, none)
	}
	return d.User, nil
}

// subject is nil where there is none.
func (s *Store) subject(ctx context.Context, of userctr.Subject) (*subjectDoc, error) {
	docs, err := find[subjectDoc](ctx, s, inSubjects, bson.D{eq("key", subjectKey(of))})
	if err != nil || len(docs) == 0 {
		return nil, err
	}
	return docs[0], nil
}

// AddSubject fills userctr.SubjectStore.
func (s *Store) AddSubject(ctx context.Context, of userctr.Subject, u *userctr.User) (protocol.UserID, error) {
	version, err := s.firstVersion(ctx, u.ID)
	if err != nil {
		return "", err
	}
	mark := s.token()
	own := subjectDoc{ID: mark, Mark: mark, Key: subjectKey(of), Realm: of.Realm, Sub: of.Sub, User: u.ID}
	for {
		is, err := s.subject(ctx, of)
		if err != nil {
			return "", err
		}
		if is != nil && is.ID != own.ID {
			return is.User, s.makeSubject(ctx, is, u)
		}
		if version == 0 {
			return "", userExists(u.ID)
		}
		err = s.put(ctx, inSubjects, own.ID, own.Mark, own)
		if err == nil {
			break
		}
		if !errors.Is(err, errTaken) {
			return "", err
		}
	}
	if err := s.makeSubject(ctx, &own, u); err != nil {
		return "", err
	}
	u.Version = version
	return u.ID, nil
}

// makeSubject makes the user of a subject like u, unless it is there.
func (s *Store) makeSubject(ctx context.Context, of *subjectDoc, u *userctr.User) error {
	version, err := s.firstVersion(ctx, of.User)
	if err != nil || version == 0 {
		return err
	}
	as := *u
	as.ID = of.User
	err = s.addRow(ctx, s.token(), version, &as, false)
	if protocol.Code_CONFLICT.Is(err) { // another made it, who met the subject too
		return nil
	}
	return err
}

// SubjectsOf fills userctr.SubjectStore.
func (s *Store) SubjectsOf(ctx context.Context, user protocol.UserID) (all []userctr.Subject, err error) {
	docs, err := find[subjectDoc](ctx, s, inSubjects, bson.D{eq("user", user)}, options.Find().SetSort(bson.D{eq("key", 1)}))
	for _, d := range docs {
		all = append(all, userctr.Subject{Realm: d.Realm, Sub: d.Sub})
	}
	return all, err
}

// RemoveSubjects fills userctr.SubjectStore.
func (s *Store) RemoveSubjects(ctx context.Context, user protocol.UserID) error {
	docs, err := find[subjectDoc](ctx, s, inSubjects, bson.D{eq("user", user)})
	for _, d := range docs {
		err = either(err, s.remove(ctx, inSubjects, d.ID))
	}
	return err
}
