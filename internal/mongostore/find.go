package mongostore

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// find reads all documents that filter finds.
func find[T any](ctx context.Context, s *Store, collection string, filter bson.D, o ...options.Lister[options.FindOptions]) ([]*T, error) {
	var rows []*T
	err := s.again(ctx, "query of "+collection, func(ctx context.Context) error {
		cursor, err := s.db.Collection(collection).Find(ctx, filter, o...)
		if err != nil {
			return err
		}
		rows = nil
		return cursor.All(ctx, &rows)
	})
	return rows, err
}

// each calls use with the documents that filter finds, as they come, until it returns
// an error. What was read once is not read again: an error of the database ends it.
func each[T any](ctx context.Context, s *Store, collection string, filter bson.D, use func(*T) error, o ...options.Lister[options.FindOptions]) (err error) {
	var cursor *mongo.Cursor
	err = s.again(ctx, "query of "+collection, func(ctx context.Context) (err error) {
		cursor, err = s.db.Collection(collection).Find(context.WithoutCancel(ctx), filter, o...)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cursor.Close(context.WithoutCancel(ctx))) }()
	for cursor.Next(ctx) {
		row := new(T)
		if err := cursor.Decode(row); err != nil {
			return err
		}
		if err := use(row); err != nil {
			return err
		}
	}
	return cursor.Err()
}

func eq(field string, value any) bson.E { return bson.E{Key: field, Value: value} }

// in is field: {$in: values}, or its one value.
func in[T any](field string, values []T) bson.E {
	if len(values) == 1 {
		return bson.E{Key: field, Value: values[0]}
	}
	return bson.E{Key: field, Value: bson.D{{Key: "$in", Value: values}}}
}

func op(field, operator string, value any) bson.E {
	return bson.E{Key: field, Value: bson.D{{Key: operator, Value: value}}}
}
