package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	good, err := os.ReadFile("../../../tandem.sample.yaml")
	if err != nil {
		t.Fatal(err)
	}
	fine := write("good.yaml", string(good))
	wrong := write("wrong.yaml", string(good)+"\ncolour: red\n")
	place := fmt.Sprintf("wrong.yaml:%d:1: ", bytes.Count(good, []byte("\n"))+2)
	taken := write("taken.yaml", "https: {listen: 192.0.2.1:443}\nsip: {listen: udp://192.0.2.1:5060}\n"+
		"trunks: {a: {uri: sip:192.0.2.2}}\nroutes: {from: a, to: browsers}\nlog: {level: error}\n")
	for _, c := range []struct {
		args      string
		code      int
		out, errs string
	}{
		{"check -config " + fine, 0, "ok\n", ""},
		{"check --config " + fine, 0, "ok\n", ""},
		{"check -config=" + fine, 0, "ok\n", ""},
		{"check -config " + wrong, exitWrong, "", place + "colour: unknown key"},
		{"run -config " + wrong, exitWrong, "", place + "colour: unknown key"},
		{"check -config " + dir + "/none", exitFailed, "", "no such file"},
		{"run -config " + dir + "/none", exitFailed, "", "no such file"},
		{"run -config " + taken, exitFailed, "", "192.0.2.1"},
		{"check", exitWrong, "", "missing flags: --config"},
		{"run -file x", exitWrong, "", "unknown flag --file"},
		{"dance", exitWrong, "", "unexpected argument dance"},
		{"", exitWrong, "", "expected one of"},
		{"demo -listen nowhere", exitWrong, "", "nowhere"},
		{"route -config " + fine + " --from browsers --to 900123", 0, "rejects it with 403", ""},
		{"route -config " + fine + " --from alice@example.com --to sip:600@example.com", 0, "sends it to pbx", ""},
		{"route -config " + fine + " --from pbx --caller alice@example.com --to +49 --header X-A:b --claim a=b --at 2026-11-21T08:00:00Z", 0, "sends it to carrier", ""},
		{"route -config " + fine + " --from nobody --to 1", exitWrong, "", "is no pool or trunk"},
		{"route -config " + fine + " --from a@b --caller c@d --to 1", exitWrong, "", "is an address already"},
		{"route -config " + fine + " --from browsers --to 1 --header X-A", exitWrong, "", "--header"},
		{"route -config " + fine + " --from browsers --to 1 --at noon", exitWrong, "", "--at"},
		{"route -config " + fine + " --from browsers", exitWrong, "", "missing flags: --to"},
		{"route -config " + wrong + " --from browsers --to 1", exitWrong, "", place + "colour: unknown key"},
		{"version", 0, "\n", ""},
		{"--help", 0, "Run with a PBX of its own", ""},
		{"-help", 0, "Run with a PBX of its own", ""},
		{"run -h", 0, "The configuration file.", ""},
	} {
		var out, errs bytes.Buffer
		code := run(strings.Fields(c.args), &out, &errs)
		if code != c.code || !strings.Contains(out.String(), c.out) || !strings.Contains(errs.String(), c.errs) || (c.errs == "") != (errs.Len() == 0) {
			t.Errorf("tandem %s: %d\nout  %q\nerrs %q", c.args, code, out.String(), errs.String())
		}
	}
}
