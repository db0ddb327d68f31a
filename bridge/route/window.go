package route

import (
	"fmt"
	"strings"
	"time"
)

// Window is a time of the week. Its zero value is always.
type Window struct {
	Days  Days           // 0: every day
	Hours []Hours        // one of them; none: the whole day
	Zone  *time.Location // nil: that of the time it is asked for
}

// Days are days of the week, Sunday the lowest bit.
type Days uint8

// Hours are minutes since midnight, From within, Until not. Hours that end before they begin end on the next day, and belong to
// the day on which they begin.
type Hours struct{ From, Until int }

const dayMinutes = 24 * 60

// Contains says whether a moment is in the window.
func (w Window) Contains(at time.Time) bool {
	if w.Zone != nil {
		at = at.In(w.Zone)
	}
	today := at.Weekday()
	yesterday := (today + 6) % 7
	if len(w.Hours) == 0 {
		return w.Days.has(today)
	}
	minute := at.Hour()*60 + at.Minute()
	for _, h := range w.Hours {
		switch {
		case h.From < h.Until:
			if minute >= h.From && minute < h.Until && w.Days.has(today) {
				return true
			}
		case minute >= h.From && w.Days.has(today), minute < h.Until && w.Days.has(yesterday):
			return true
		}
	}
	return false
}

func (d Days) has(day time.Weekday) bool { return d == 0 || d&(1<<day) != 0 }

// dayNames are as ParseDays takes them.
var dayNames = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseDays reads "mon" or "mon-fri"; a range may go over the week's end.
func ParseDays(text string) (Days, error) {
	first, last, isRange := strings.Cut(strings.ToLower(text), "-")
	if !isRange {
		last = first
	}
	from, until := dayOf(first), dayOf(last)
	if from < 0 || until < 0 {
		return 0, fmt.Errorf("%q is not a day (mon, tue, wed, thu, fri, sat, sun) or a range of them, such as mon-fri", text)
	}
	var d Days
	for day := from; ; day = (day + 1) % 7 {
		d |= 1 << day
		if day == until {
			return d, nil
		}
	}
}

func dayOf(name string) int {
	for i, known := range dayNames {
		if name == known {
			return i
		}
	}
	return -1
}

// ParseHours reads "08:00-18:00"; 24:00 is the end of the day.
func ParseHours(text string) (Hours, error) {
	first, last, _ := strings.Cut(text, "-")
	from, okFrom := minuteOf(first)
	until, okUntil := minuteOf(last)
	if !okFrom || !okUntil || from == until || from == dayMinutes {
		return Hours{}, fmt.Errorf("%q is not a time of the day, such as 08:00-18:00 or 22:00-06:00", text)
	}
	return Hours{From: from, Until: until}, nil
}

func minuteOf(text string) (int, bool) {
	if text == "24:00" {
		return dayMinutes, true
	}
	at, err := time.Parse("15:04", text)
	return at.Hour()*60 + at.Minute(), err == nil && len(text) == len("15:04")
}

// String is the form in which the configuration has it.
func (w Window) String() string {
	var parts []string
	if w.Days != 0 {
		var days []string
		for i, name := range dayNames {
			if w.Days.has(time.Weekday(i)) {
				days = append(days, name)
			}
		}
		parts = append(parts, strings.Join(days, ","))
	}
	for _, h := range w.Hours {
		parts = append(parts, fmt.Sprintf("%02d:%02d-%02d:%02d", h.From/60, h.From%60, h.Until/60, h.Until%60))
	}
	if w.Zone != nil {
		parts = append(parts, "in "+w.Zone.String())
	}
	return strings.Join(parts, " ")
}
