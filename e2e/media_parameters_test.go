package e2e

import (
	"reflect"
	"testing"
	"time"
)

func TestMediaParameters(t *testing.T) {
	all := []string{"gcm", "sha1", "ticks", "memory", "calls", "overload"}
	for _, row := range []struct {
		name string
		env  map[string]string
		want *mediaParameters // nil: refused
	}{
		{"defaults", nil, &mediaParameters{[]int{100, 500, 1000}, 5, 2 * time.Second, time.Minute, all, false}},
		{"all said", map[string]string{"CALLS": "500 20", "RUNS": "1", "SECONDS": "0.5", "WAIT": "0", "PARTS": "sha1", "SHARED": "1"},
			&mediaParameters{[]int{20, 500}, 1, 500 * time.Millisecond, 0, []string{"sha1"}, true}},
		{"no choice", map[string]string{"SHARED": "perhaps"}, nil},
		{"no number", map[string]string{"CALLS": "many"}, nil},
		{"too many", map[string]string{"CALLS": "100000"}, nil},
		{"no run", map[string]string{"RUNS": "0"}, nil},
		{"no time", map[string]string{"SECONDS": "0"}, nil},
		{"backwards", map[string]string{"WAIT": "-1"}, nil},
		{"a part that is none", map[string]string{"PARTS": "gcm video"}, nil},
	} {
		got, err := mediaParametersFrom(func(name string) string { return row.env[name] }, "100 500 1000")
		if (err != nil) != (row.want == nil) || err == nil && !reflect.DeepEqual(got, *row.want) {
			t.Errorf("%s: %+v, %v; want %+v", row.name, got, err, row.want)
		}
	}
}
