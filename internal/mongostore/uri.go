package mongostore

import (
	"errors"

	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"
)

// CheckURI says why a database cannot be where uri says. It asks nobody, and the error does not
// have uri in it, which is a secret.
func CheckURI(uri string) error {
	if _, err := connstring.ParseAndValidate(uri); err != nil {
		return errors.New("it is no address of a MongoDB, like mongodb://user:password@host/troupe?replicaSet=rs0 (special characters of a password are written as %XX)")
	}
	return nil
}
