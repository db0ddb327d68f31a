package sdp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// key64 is a key and salt of n bytes as SDP has it.
func key64(n int) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xa5}, n))
}

func TestCryptoSyntax(t *testing.T) {
	const cm, gcm = "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"
	k30, k28 := key64(30), key64(28)
	for _, c := range []struct{ value, suite, mki, fault string }{
		{"1 " + cm + " inline:" + k30, cm, "", ""},
		{"2 AES_CM_128_HMAC_SHA1_32 inline:" + k30, "AES_CM_128_HMAC_SHA1_32", "", ""},
		{"999999999 AES_256_CM_HMAC_SHA1_80 inline:" + key64(46), "AES_256_CM_HMAC_SHA1_80", "", ""},
		{"1 AES_CM_256_HMAC_SHA1_80 inline:" + key64(46), "AES_256_CM_HMAC_SHA1_80", "", ""},
		{"1 AES_CM_256_HMAC_SHA1_32 inline:" + key64(46), "AES_256_CM_HMAC_SHA1_32", "", ""},
		{"1 " + gcm + " inline:" + k28, gcm, "", ""},
		{"1 " + gcm + " inline:" + strings.TrimRight(k28, "="), gcm, "", ""},
		{"1 AEAD_AES_256_GCM inline:" + key64(44), "AEAD_AES_256_GCM", "", ""},
		{"1 aes_cm_128_hmac_sha1_80 inline:" + k30, cm, "", ""},
		{"  1\t" + cm + "   inline:" + k30 + " ", cm, "", ""},
		{"1 " + cm + " inline:" + k30 + "|2^20", cm, "", ""},
		{"1 " + cm + " inline:" + k30 + "|1048576", cm, "", ""},
		{"1 " + cm + " inline:" + k30 + "|2^31|1:1", cm, "01", ""},
		{"1 " + cm + " inline:" + k30 + "|258:4", cm, "00000102", ""},
		{"1 " + cm + " inline:" + k30 + "|18446744073709551615:8", cm, "ffffffffffffffff", ""},
		{"1 " + cm + " inline:" + k30 + " WSH=64 -new=1", cm, "", ""},

		{"", "", "", "tag, suite and key expected"},
		{"1 " + cm, "", "", "tag, suite and key expected"},
		{"x " + cm + " inline:" + k30, "", "", `"x" is no tag`},
		{"-1 " + cm + " inline:" + k30, "", "", "is no tag"},
		{"1000000000 " + cm + " inline:" + k30, "", "", "is no tag"},
		{"1 F8_128_HMAC_SHA1_80 inline:" + k30, "", "", "a=crypto:1 F8_128_HMAC_SHA1_80: the suite is not spoken"},
		{"1 AES_192_CM_HMAC_SHA1_80 inline:" + key64(38), "", "", "the suite is not spoken"},
		{"1 " + cm + " inline:" + key64(29), "", "", "29 bytes of key and salt, 30 expected"},
		{"1 " + cm + " inline:" + key64(46), "", "", "46 bytes of key and salt, 30 expected"},
		{"1 " + gcm + " inline:" + k30, "", "", "30 bytes of key and salt, 28 expected"},
		{"1 " + cm + " inline:", "", "", "0 bytes of key and salt"},
		{"1 " + cm + " inline:*" + k30[1:], "", "", "the key is not base64"},
		{"1 " + cm + " uri:https://example.com/key", "", "", "only the key method inline is spoken"},
		{"1 " + cm + " inline:" + k30 + "|2^20|1:4;inline:" + k30 + "|2^20|2:4", "", "", "several keys in one attribute"},
		{"1 " + cm + " inline:" + k30 + "|0", "", "", "no such lifetime"},
		{"1 " + cm + " inline:" + k30 + "|2^49", "", "", "no such lifetime"},
		{"1 " + cm + " inline:" + k30 + "|", "", "", "no such lifetime"},
		{"1 " + cm + " inline:" + k30 + "|2^20|1", "", "", "no such MKI"},
		{"1 " + cm + " inline:" + k30 + "|1:0", "", "", "no such MKI"},
		{"1 " + cm + " inline:" + k30 + "|1:9", "", "", "no such MKI"},
		{"1 " + cm + " inline:" + k30 + "|256:1", "", "", "no such MKI"},
		{"1 " + cm + " inline:" + k30 + "|2^20|1:4|x", "", "", "more than lifetime and MKI"},
		{"1 " + cm + " inline:" + k30 + " KDR=1", "", "", "KDR is not spoken"},
		{"1 " + cm + " inline:" + k30 + " UNENCRYPTED_SRTP", "", "", "UNENCRYPTED_SRTP is not spoken"},
		{"1 " + cm + " inline:" + k30 + " UNENCRYPTED_SRTCP", "", "", "UNENCRYPTED_SRTCP is not spoken"},
		{"1 " + cm + " inline:" + k30 + " UNAUTHENTICATED_SRTP", "", "", "UNAUTHENTICATED_SRTP is not spoken"},
		{"1 " + cm + " inline:" + k30 + " FEC_ORDER=FEC_SRTP", "", "", "FEC_ORDER is not spoken"},
		{"1 " + cm + " inline:" + k30 + " NEW=1", "", "", "NEW is not spoken"},
	} {
		got, err := parseCrypto(c.value)
		if c.fault != "" {
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%s: %v, want %q", c.value, err, c.fault)
			}
			continue
		}
		if err != nil || got.Suite != c.suite || fmt.Sprintf("%x", got.MKI) != c.mki {
			t.Errorf("%s: %+v, %v", c.value, got, err)
		}
	}
}

// A line that cannot be obeyed costs the others nothing; no key comes into an error's or a log's text.
func TestCryptoLines(t *testing.T) {
	var s section
	add := func(value string) { s.attributes = append(s.attributes, attribute{"crypto", value, 1}) }
	add("1 AES_CM_128_HMAC_SHA1_80 inline:" + key64(30) + "|2^31|1:1")
	add("2 F8_128_HMAC_SHA1_80 inline:" + key64(30))
	add("3 AEAD_AES_128_GCM inline:" + key64(28))
	add("3 AEAD_AES_256_GCM inline:" + key64(44))
	add("4 AES_CM_128_HMAC_SHA1_32 inline:" + key64(30) + " KDR=5")
	all, fault := cryptosOf(s)
	if len(all) != 2 || all[0].Tag != 3 || all[1].Tag != 1 || all[0].Suite != "AEAD_AES_128_GCM" {
		t.Fatalf("%v", all)
	}
	for _, want := range []string{"a=crypto:2 F8_128_HMAC_SHA1_80: the suite", "a=crypto:3: the tag stands twice", "KDR is not spoken"} {
		if !strings.Contains(fault, want) {
			t.Errorf("%q lacks %q", fault, want)
		}
	}
	if shown := fault + fmt.Sprint(all); strings.Contains(shown, "paWl") || strings.Contains(shown, "165 165") {
		t.Errorf("a key is shown: %s", shown)
	}
	s.attributes = nil
	for i := range 3 * maxCryptos {
		add(fmt.Sprintf("%d AEAD_AES_128_GCM inline:%s", i+1, key64(28)))
		add("x")
	}
	if all, _ := cryptosOf(s); len(all) > maxCryptos {
		t.Fatalf("%d lines are remembered", len(all))
	}
}

// What parses is written as it came but for lifetime, MKI and session parameters.
func FuzzCrypto(f *testing.F) {
	for _, s := range suites() {
		f.Add("1 " + s.name + " inline:" + key64(s.size))
		f.Add("77 " + s.old + " inline:" + strings.TrimRight(key64(s.size), "=") + "|2^31|1:1 WSH=64")
	}
	f.Add("1 AES_CM_128_HMAC_SHA1_80 inline:" + key64(30) + "|2^20|1:4;inline:" + key64(30) + "|2^20|2:4")
	f.Add("1 AES_CM_128_HMAC_SHA1_80 inline:" + key64(30) + "|2^49 KDR=1 UNENCRYPTED_SRTP")
	f.Fuzz(func(t *testing.T, value string) {
		c, err := parseCrypto(value)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "a=crypto") || len(err.Error()) > 300 {
				t.Fatalf("%v", err)
			}
			return
		}
		known, ok := suiteNamed(c.Suite)
		if !ok || known.size != len(c.Key) || c.Tag < 0 || len(c.MKI) > maxMKI {
			t.Fatalf("%v: %d bytes, %d of MKI", c, len(c.Key), len(c.MKI))
		}
		again, err := parseCrypto(c.line())
		if c.MKI = nil; err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%q again: %v, %v", c.line(), again, err)
		}
	})
}
