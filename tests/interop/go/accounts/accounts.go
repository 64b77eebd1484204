// Package accounts is the database behind the database plugins: users in memory, and failures that a test asks for. It
// knows the types of neither SDK.
package accounts

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Accounts is one connection to a database that does not exist.
type Accounts struct {
	name   string
	lock   sync.Mutex
	config map[string]interface{}
	users  map[string]bool
	made   int
}

// New makes a connection to a database of the type that name tells.
func New(name string) *Accounts {
	return &Accounts{name: name, users: map[string]bool{}}
}

// Connect keeps the configuration, unless it asks for a failure: "refuse" always, with its value for a text, and
// "unreachable" when the connection is to be verified.
func (a *Accounts) Connect(config map[string]interface{}, verify bool) error {
	if text, refused := config["refuse"]; refused {
		return errors.New(fmt.Sprint(text))
	}
	if _, unreachable := config["unreachable"]; unreachable && verify {
		return errors.New("the database is unreachable")
	}
	a.lock.Lock()
	defer a.lock.Unlock()
	a.config = config
	return nil
}

// Add makes a user and tells its name.
func (a *Accounts) Add(display string) string {
	a.lock.Lock()
	defer a.lock.Unlock()
	a.made++
	user := fmt.Sprintf("v-%s-%d", display, a.made)
	a.users[user] = true
	return user
}

// Check fails for a user that does not exist.
func (a *Accounts) Check(user string) error {
	a.lock.Lock()
	defer a.lock.Unlock()
	return a.check(user)
}

// Remove removes a user, and fails for one that does not exist.
func (a *Accounts) Remove(user string) error {
	a.lock.Lock()
	defer a.lock.Unlock()
	if err := a.check(user); err != nil {
		return err
	}
	delete(a.users, user)
	return nil
}

func (a *Accounts) check(user string) error {
	if !a.users[user] {
		return fmt.Errorf("there is no user %q", user)
	}
	return nil
}

// Type is the type's name, after as long as "type_delay" in the configuration says.
func (a *Accounts) Type() (string, error) {
	a.lock.Lock()
	text, delayed := a.config["type_delay"].(string)
	a.lock.Unlock()
	if delayed {
		delay, err := time.ParseDuration(text)
		if err != nil {
			return "", err
		}
		time.Sleep(delay)
	}
	return a.name, nil
}

// Close has nothing to close.
func (a *Accounts) Close() error {
	return nil
}
