package gateway

import (
	"fmt"
	"strconv"
	"strings"

	"tandem/bridge/admission"
	"tandem/bridge/numbers"
)

// Limits are the caps of the process and of everybody who calls.
type Limits struct {
	Calls     int       `yaml:"calls"` // of the process, at once; default: any
	Rate      Rate      `yaml:"rate"`  // of the process, new ones a second; default: any
	User      UserCap   `yaml:"user"`
	Source    SourceCap `yaml:"source"`
	CPU       Share     `yaml:"cpu"`       // of the processors that the process may use; with more in use no call is let in
	Memory    Share     `yaml:"memory"`    // of what the process, or the machine, may use; as cpu
	Ports     Share     `yaml:"ports"`     // of media.rtp.ports; with less of them free no call is let in
	Full      int       `yaml:"full"`      // the status of a refusal: 503 with Retry-After (default), 480 or 486
	Emergency []string  `yaml:"emergency"` // numbers that no cap of anything holds back
}

// UserCap is that of each user who calls.
type UserCap struct {
	Calls int  `yaml:"calls"`
	Rate  Rate `yaml:"rate"`
}

// SourceCap is that of each address that calls come from: a browser's, a PBX'.
type SourceCap struct {
	Calls  int       `yaml:"calls"`
	Rate   Rate      `yaml:"rate"`
	Except []Network `yaml:"except"` // addresses without a cap
}

// Rate is a number of events a second, such as 5 or 0.5.
type Rate float64

// UnmarshalText reads a positive number.
func (r *Rate) UnmarshalText(text []byte) error {
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(n > 0 && n <= 1e6) {
		return fmt.Errorf("%q is not a number a second, such as 5 or 0.5", text)
	}
	*r = Rate(n)
	return nil
}

// Share is a part of the whole, such as 0.9, which is written 90%.
type Share float64

// UnmarshalText reads a percentage above 0, up to 100%.
func (s *Share) UnmarshalText(text []byte) error {
	digits, percent := strings.CutSuffix(string(text), "%")
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !percent || !(n > 0 && n <= 100) {
		return fmt.Errorf("%q is not a share, such as 90%%", text)
	}
	*s = Share(n / 100)
	return nil
}

// bridge is the limits as the bridge wants them.
func (l Limits) bridge() admission.Limits {
	out := admission.Limits{
		Process: admission.Cap{Calls: l.Calls, Rate: float64(l.Rate)},
		User:    admission.Cap{Calls: l.User.Calls, Rate: float64(l.User.Rate)},
		Source:  admission.Cap{Calls: l.Source.Calls, Rate: float64(l.Source.Rate)},
		CPU:     float64(l.CPU), Memory: float64(l.Memory), Ports: float64(l.Ports),
		Status: l.Full, Emergency: l.Emergency,
	}
	for _, n := range l.Source.Except {
		out.Except = append(out.Except, n.Prefix)
	}
	return out
}

func (v *validator) limits(l Limits) {
	for path, calls := range map[string]int{"limits": l.Calls, "limits.user": l.User.Calls, "limits.source": l.Source.Calls} {
		if calls < 0 {
			v.fail(path+".calls", "%d calls are none", calls)
		}
	}
	v.full("limits", l.Full, l.Emergency)
}

// cap checks how many calls there may be at once.
func (v *validator) cap(path string, calls int) {
	if calls < 0 {
		v.fail(path+".max-calls", "%d calls are none", calls)
	}
}

// full checks what becomes of calls above a cap, and which have none.
func (v *validator) full(path string, status int, emergency []string) {
	if status != 0 && status != 503 && status != 480 && status != 486 {
		v.fail(path+".full", "%d is not one of 503, 480, 486", status)
	}
	for i, number := range emergency {
		if _, is := numbers.Number(number); !is {
			v.fail(indexed(path+".emergency", i), "%q is not a number", number)
		}
	}
}
