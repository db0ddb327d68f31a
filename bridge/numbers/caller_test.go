package numbers

import (
	"regexp"
	"testing"
)

func TestCaller(t *testing.T) {
	ours := []*regexp.Regexp{regexp.MustCompile(`^\+4930123\d*$`)}
	screened := Caller{Identity: TheCaller, Allowed: ours, Instead: "+49301230"}
	for _, test := range []struct {
		name string
		rule Caller
		from Given
		want Shown
	}{
		{"nothing is said", Caller{}, Given{User: "alice"}, Shown{User: "alice"}},
		{"a number of ours", screened, Given{User: "+493012342"}, Shown{User: "+493012342", Identity: "+493012342"}},
		{"a stranger's number", screened, Given{User: "+12125551234"}, Shown{User: "+49301230", Identity: "+49301230"}},
		{"a name", screened, Given{User: "alice"}, Shown{User: "+49301230", Identity: "+49301230"}},
		{"a name with a number behind", screened, Given{User: "alice", Asserted: "+493012342"}, Shown{User: "+493012342", Identity: "+493012342"}},
		{"asserted, not ours", screened, Given{User: "+493012342", Asserted: "+1212555"}, Shown{User: "+493012342", Identity: "+493012342"}},
		{"private", screened, Given{User: "anonymous", Asserted: "+493012342", Private: true}, Shown{Identity: "+493012342"}},
		{"any number", Caller{Instead: "+49301230"}, Given{User: "+12125551234"}, Shown{User: "+12125551234"}},
		{"any number, a name", Caller{Instead: "+49301230"}, Given{User: "alice"}, Shown{User: "+49301230"}},
		{"the account, and who calls", Caller{From: TheAccount, Identity: TheCaller}, Given{User: "+493012342", Account: "t7"},
			Shown{User: "t7", IsAccount: true, Identity: "+493012342"}},
		{"the account keeps its name when private", Caller{From: TheAccount}, Given{User: "+4930", Account: "t7", Private: true},
			Shown{User: "t7", IsAccount: true}},
		{"one number for all", Caller{From: "+49301230", Identity: TheAccount}, Given{User: "bob", Account: "t7"},
			Shown{User: "+49301230", Identity: "t7"}},
		{"a number that is asserted, none shown", Caller{Identity: Nobody}, Given{User: "bob"}, Shown{User: "bob"}},
		{"a number asserted", Caller{Identity: "+49301230"}, Given{User: "bob"}, Shown{User: "bob", Identity: "+49301230"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.rule.Show(test.from); got != test.want {
				t.Errorf("%+v, not %+v", got, test.want)
			}
		})
	}
}
