package wsstest

import (
	"strings"
	"testing"
)

func TestDirections(t *testing.T) {
	for _, tc := range []struct{ a, b, both string }{
		{"sendrecv", "sendrecv", "sendrecv"}, {"sendrecv", "sendonly", "sendonly"}, {"sendonly", "recvonly", "inactive"},
		{"recvonly", "sendrecv", "recvonly"}, {"inactive", "sendrecv", "inactive"}, {"sendonly", "sendonly", "sendonly"},
	} {
		if got := both(tc.a, tc.b); got != tc.both || both(tc.b, tc.a) != tc.both {
			t.Errorf("both(%s, %s) = %s, want %s", tc.a, tc.b, got, tc.both)
		}
	}
	if reverse("sendonly") != "recvonly" || reverse("recvonly") != "sendonly" || reverse("inactive") != "inactive" {
		t.Error("reverse")
	}
}

func TestSDPText(t *testing.T) {
	const text = "v=0\r\ns=-\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=sendonly\r\na=fingerprint:sha-256 AA:BB:00\r\na=ice-ufrag:u\r\n" +
		"m=audio 9 UDP/TLS/RTP/SAVPF 8\r\na=mid:1\r\n"
	if got := direction(text); got != "sendonly" {
		t.Error(got)
	}
	if got := direction("v=0\r\nm=audio 9 RTP/AVP 0\r\n"); got != "sendrecv" {
		t.Error(got)
	}
	if got := withDirection(text, "inactive"); direction(got) != "inactive" || len(got) != len(text) {
		t.Error(got)
	}
	if got := alwaysSendrecv(text); strings.Count(got, "a=sendrecv\r\n") != 2 || strings.Contains(got, "sendonly") {
		t.Error(got)
	}
	if got := withWrongFingerprint(text); !strings.Contains(got, "AA:BB:11") || len(got) != len(text) {
		t.Error(got)
	}
	if got := invariants([]byte(text)); strings.Count(got, "\n") != 4 || strings.Contains(got, "sendonly") {
		t.Error(got)
	}
}
