package stir

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// oidTNAuthList is the extension that says for which numbers a certificate is (RFC 8226 §9).
var oidTNAuthList = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 26}

// authority are the numbers of a certificate; the zero value says nothing of numbers.
type authority struct {
	provider bool // a service provider's code: any number of its customers
	listed   bool // ones and ranges are all
	ones     []string
	ranges   []numberRange
}

// numberRange are count numbers of one length.
type numberRange struct {
	start string
	count uint64
}

// covers says whether a number may be signed for.
func (a authority) covers(number string) bool {
	if a.provider || !a.listed {
		return true
	}
	for _, one := range a.ones {
		if one == number {
			return true
		}
	}
	for _, r := range a.ranges {
		if len(r.start) != len(number) {
			continue
		}
		first, errFirst := strconv.ParseUint(r.start, 10, 64)
		n, err := strconv.ParseUint(number, 10, 64)
		if err == nil && errFirst == nil && n >= first && n-first < r.count {
			return true
		}
	}
	return false
}

// authorityOf reads a certificate's TNAuthList:
//
//	TNAuthorizationList ::= SEQUENCE SIZE (1..MAX) OF TNEntry
//	TNEntry ::= CHOICE { spc [0] IA5String, range [1] TelephoneNumberRange, one [2] IA5String }
//	TelephoneNumberRange ::= SEQUENCE { start IA5String, count INTEGER (2..MAX), ... }
//
// with explicit tags.
func authorityOf(leaf *x509.Certificate) (a authority, err error) {
	for _, e := range leaf.Extensions {
		if !e.Id.Equal(oidTNAuthList) {
			continue
		}
		var entries []asn1.RawValue
		if rest, err := asn1.Unmarshal(e.Value, &entries); err != nil || len(rest) > 0 {
			return a, fmt.Errorf("the TNAuthList cannot be read: %w", errors.Join(err, trailing(rest)))
		}
		a.listed = true
		for _, entry := range entries {
			if err := a.add(entry); err != nil {
				return a, fmt.Errorf("the TNAuthList cannot be read: %w", err)
			}
		}
	}
	return a, nil
}

func trailing(rest []byte) error {
	if len(rest) == 0 {
		return nil
	}
	return errors.New("something is behind it")
}

func (a *authority) add(entry asn1.RawValue) error {
	if entry.Class != asn1.ClassContextSpecific {
		return errors.New("an entry without a tag")
	}
	switch entry.Tag {
	case 0:
		a.provider = true
		return nil
	case 1:
		var r struct {
			Start string `asn1:"ia5"`
			Count int64
		}
		if _, err := asn1.Unmarshal(entry.Bytes, &r); err != nil {
			return err
		}
		if r.Count < 2 || strings.Trim(r.Start, "0123456789") != "" {
			return errors.New("a range of no numbers")
		}
		a.ranges = append(a.ranges, numberRange{r.Start, uint64(r.Count)})
		return nil
	case 2:
		var one string
		if _, err := asn1.UnmarshalWithParams(entry.Bytes, &one, "ia5"); err != nil {
			return err
		}
		a.ones = append(a.ones, one)
		return nil
	}
	return fmt.Errorf("an entry with tag %d", entry.Tag)
}
