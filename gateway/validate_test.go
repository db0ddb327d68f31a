package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFaultsOfTheMeaning(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir, "a")
	writeCertificate(t, dir, "b")
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	replace := func(old, with string) string {
		if !strings.Contains(least, old) {
			t.Fatalf("%q is not in least", old)
		}
		return strings.NewReplacer("DIR", dir).Replace(strings.Replace(least, old, with, 1))
	}
	add := func(more string) string { return strings.NewReplacer("DIR", dir).Replace(least + more) }
	for _, c := range []struct{ text, want string }{
		{add("node: 0"), `t.yaml:5:1: node: 0 is not between`},
		{add("state: DIR/none/state.json"), `t.yaml:5:1: state: stat `},
		{add("secret: short"), `t.yaml:5:1: secret: has 5 characters`},
		{add("shutdown-timeout: 0s"), `t.yaml:5:1: shutdown-timeout: 0s is not between`},
		{add("call: {try-timeout: 33s}"), `t.yaml:5:8: call.try-timeout: 33s is not between`},
		{add("registration: {max-expires: 1ms}"), `registration.max-expires: 1ms is not between`},
		{replace("https: {listen: 127.0.0.1:0}", "https: {origins: []}"), `t.yaml:1:1: https.listen: is missing`},
		{replace("https: {listen: 127.0.0.1:0}\n", ""), `t.yaml: https.listen: is missing`},
		{replace("listen: 127.0.0.1:0", "listen: [127.0.0.1:1, http://127.0.0.1:1]"), `https.listen[1]: 127.0.0.1:1 is listed twice`},
		{replace(":0}", ":0, certificate: DIR/a.pem}"), `https.certificate: stands without key`},
		{replace(":0}", ":0, key: DIR/a.key}"), `https.key: stands without certificate`},
		{replace(":0}", ":0, certificate: DIR/a.pem, key: DIR/b.key}"), `https.certificate: tls: private key does not match`},
		{replace(":0}", ":0, certificate: DIR/none.pem, key: DIR/b.key}"), `none.pem: no such file`},
		{replace(":0}", ":0, certificates: [{certificate: DIR/a.pem, key: DIR/b.key}]}"), `https.certificates[0].certificate: tls: private key`},
		{replace(":0}", ":0, certificates: [{}]}"), `https.certificates[0]: has neither`},
		{replace(":0}", ":0, origins: phone.example.com}"), `https.origins[0]: "phone.example.com" is not an origin`},
		{replace(":0}", ":0, origins: [https://a.example, https://b.example/]}"), `https.origins[1]: "https://b.example/" is not an origin`},
		{replace(":0}", ":0, origins: https://*}"), `is not an origin`},
		{replace(":0}", ":0, origins: ['https://*.10.0.0.1']}"), `no names below an address`},
		{replace(":0}", ":0, frame-ancestors: [https://a.example, '*']}"), `https.frame-ancestors[1]: "*" is not an origin`},
		{replace(":0}", ":0, frame-ancestors: \"https://a.example;script-src\"}"), `is not an origin`},
		{replace(":0}", ":0, client-address: forwarded}"), `https.client-address: stands without proxies`},
		{replace(":0}", ":0, proxies: 10.0.0.1, client-address: x-real-ip}"), `https.client-address[0]: "x-real-ip" is not one of`},
		{replace(":0}", ":0, proxies: 10.0.0.1, client-address: [forwarded, x-forwarded-for]}"), `has both headers`},
		{replace(":0}", ":0, proxies: 10.0.0.1/8}"), `has bits behind its length`},
		{replace(":0}", ":0, limits: {message: 70000}}"), `https.limits.message: 70000 is not between 1024 and 65535`},
		{replace(":0}", ":0, limits: {per-user: 0}}"), `https.limits.per-user: 0 is not between 1 and`},
		{replace(":0}", ":0, limits: {unregistered: 10ms}}"), `https.limits.unregistered: 10ms is not 0s`},
		{replace("sip: {listen: udp://127.0.0.1:0}\n", "media: {rtp: {address: 127.0.0.1}}\n"), `sip.listen: is missing`},
		{replace("udp://127.0.0.1:0", "[udp://0.0.0.0:5060]"), `sip.listen[0]: 0.0.0.0 cannot stand in Via`},
		{replace("udp://127.0.0.1:0", "[udp://127.0.0.1:0, tls://127.0.0.1:0]"), `sip.listen[1]: tls needs sip.certificate`},
		{replace("udp://127.0.0.1:0", "[udp://127.0.0.1:5, udp://127.0.0.1:5]"), `sip.listen[1]: udp://127.0.0.1:5 is listed twice`},
		{replace("udp://127.0.0.1:0}", "udp://127.0.0.1:0, advertise: 'sip.example.com:5060'}"), `sip.advertise: "sip.example.com:5060" is not an address`},
		{replace("udp://127.0.0.1:0}", "udp://127.0.0.1:0, ca: DIR/empty}"), `holds no PEM certificate`},
		{replace("udp://127.0.0.1:0}", "udp://127.0.0.1:0, certificate: DIR/a.pem}"), `sip.certificate: stands without key`},
		{add("media: {advertise: 0.0.0.0}"), `media.advertise[0]: 0.0.0.0 is nobody's`},
		{add("media: {advertise: [192.0.2.1, '2001:db8::1', 192.0.2.2]}"), `media.advertise[2]: 192.0.2.2 is the second of its family`},
		{add("media: {workers: -1}"), `media.workers: -1 is not between`},
		{replace("udp://127.0.0.1:0", "[udp://127.0.0.1:0, udp://127.0.0.2:0]"), `media.rtp.address: is missing`},
		{add("media: {rtp: {address: 0.0.0.0}}"), `media.rtp.address: 0.0.0.0 cannot stand in SDP`},
		{add("media: {rtp: {address: [192.0.2.1, 192.0.2.2]}}"), `media.rtp.address[1]: 192.0.2.2 is the second of its family`},
		{add("media: {rtp: {advertise: '2001:db8::1'}}"), `media.rtp.advertise[0]: 2001:db8::1 is of another family`},
		{add("media: {rtp: {ports: 3000-2000}}"), `media.rtp.ports: 3000-2000 is not a range`},
		{add("media: {rtp: {ports: 80-2000}}"), `media.rtp.ports: 80-2000 is not a range`},
		{add("media: {listen: 0.0.0.0:25000}"), `media.listen[0]: the port 25000 lies within media.rtp.ports`},
		{add("media: {listen: [127.0.0.1:40000, 127.0.0.1:40000]}"), `media.listen[1]: 127.0.0.1:40000 is listed twice`},
		{add("media: {dscp: 64}"), `media.dscp: 64 is not within 0 to 63`},
		{replace("udp://127.0.0.1:0}", "udp://127.0.0.1:0, dscp: -1}"), `sip.dscp: -1 is not within 0 to 63`},
		{add("media: {tick: 3ms}"), `media.tick: "3ms" is not one of adaptive, 0, 250us, 500us, 1ms`},
		{add("trunks: {c: {uri: sip:127.0.0.3, learn: nobody}}"), `t.yaml:5:34: trunks.c.learn: "nobody" is not one of strict, signalling, any`},
		{add("media: {rtp: {learn: all}}"), `media.rtp.learn: "all" is not one of strict, signalling, any`},
		{replace("pbx: {", "browsers: {"), `pools.browsers: the name browsers stands for`},
		{replace("pbx: {", `"p b x": {`), `the name "p b x" has more than letters`},
		{replace("members: sip:127.0.0.2:5060", "members: []"), `pools.pbx.members: a pool needs`},
		{replace("members: sip:127.0.0.2:5060", "members: [sip:a, sip:A]"), `pools.pbx.members[1]: sip:A is listed twice`},
		{replace("members: sip:127.0.0.2:5060", "members: {weight: 1}"), `pools.pbx.members[0].uri: is missing`},
		{replace("members: sip:127.0.0.2:5060", "members: {uri: sip:a, weight: 101}"), `members[0].weight: 101 is not`},
		{replace("members: sip:127.0.0.2:5060", "members: {uri: sip:a, weight: 0}"), `members[0].weight: 0 is not between 1 and 100; drain: true keeps new calls away`},
		{replace(":0}", ":0, clients: {required: true}}"), `https.clients.ca: is missing`},
		{replace("5060}", "5060, order: alphabetic}"), `pools.pbx.order: "alphabetic" is not`},
		{replace("5060}", "5060, probe: {every: 1ms}}"), `pools.pbx.probe.every: 1ms is not between`},
		{replace("5060}", "5060, probe: {every: 5s, up-after: -1}}"), `pools.pbx.probe.up-after: -1 is not between 1 and 100`},
		{replace("5060}", "5060, probe: {every: 1s, timeout: 2s, down-after: 0}}"), `pools.pbx.probe.timeout: 2s is not between 10ms and 1s`},
		{replace("5060}", "5060, probe: {timeout: 6s, down-after: 0}}"), `pools.pbx.probe.down-after: 0 is not between 1 and 100`},
		{replace("udp://127.0.0.1:0", "tcp://127.0.0.1:0"), `pools.pbx.members[0].uri: sip:127.0.0.2:5060 is reached by UDP`},
		{add("trunks: {pbx: {uri: sip:a}}"), `pools.pbx: a trunk has the same name`},
		{add("trunks: {t: {}}"), `trunks.t.uri: is missing`},
		{add("trunks: {t: {uri: sip:a, probe: {every: 2h}}}"), `trunks.t.probe.every: 2h0m0s is not between 10ms and 1h0m0s`},
		{add("trunks: {t: {uri: sip:a, register: true}}"), `trunks.t.register: a registration needs a username`},
		{add("trunks: {t: {uri: sip:a, password: x}}"), `trunks.t.password: username and password stand together`},
		{add("trunks: {t: {uri: sip:a, username: x, expires: 1h}}"), `trunks.t.expires: is for trunks that say register: true`},
		{add("trunks: {t: {uri: sip:a, username: 'x@y', register: true}}"), `"x@y" cannot be the user of a Contact`},
		{add("trunks: {t: {uri: sip:a, ca: DIR/none.pem}}"), `t.yaml:5:26: trunks.t.ca: open`},
		{add("trunks: {t: {uri: sip:a, key: DIR/none.pem}}"), `trunks.t.key: stands without certificate`},
		{add("trunks: {t: {uri: sip:a, server-name: '*'}}"), `trunks.t.server-name: "*" is not a domain`},
		{add("trunks: {t: {uri: [sip:a, sips:b]}}"), `t.yaml:5:31: trunks.t.uri[1]: sips:b is reached by tls, the first by udp`},
		{add("trunks: {t: {uri: sip:a, domain: 'a b'}}"), `t.yaml:5:26: trunks.t.domain: "a b" is not a domain`},
		{add("trunks: {t: {uri: sip:a, max-calls: -1}}"), `trunks.t.max-calls: -1 calls are none`},
		{add("trunks: {t: {uri: sip:a, max-rate: fast}}"), `trunks.t.max-rate: "fast" is not a number a second`},
		{add("trunks: {t: {uri: sip:a, max-rate: NaN}}"), `trunks.t.max-rate: "NaN" is not`},
		{add("trunks: {t: {uri: sip:a, media: direct}}"), `t.yaml:5:26: trunks.t.media: direct shows it the addresses of the other side`},
		{add("trunks: {t: {uri: sip:a, media: direct, hide: true}}"), `t.yaml:5:26: trunks.t.media: direct shows it`},
		{add("trunks: {t: {uri: sip:a, media: none}}"), `trunks.t.media: "none" is not one of relay, direct`},
		{add("trunks: {t: {uri: sip:a, media: direct, hide: false, srtp: off}}"), `trunks.t.srtp: off is for our own offers`},
		{replace("5060}", "5060, media: direct, hide: true}"), `pools.pbx.media: direct shows it`},
		{replace("5060}", "5060, media: direct, srtp: optional}"), `pools.pbx.srtp: optional is for our own offers`},
		{add("trunks: {t: {uri: sip:a, full: 404}}"), `trunks.t.full: 404 is not one of 503, 480, 486`},
		{add("trunks: {t: {uri: sip:a, strip: ['X Y']}}"), `trunks.t.strip[0]: "X Y" is not the name of a header`},
		{add("trunks: {t: {uri: sip:a, strip: [Via]}}"), `trunks.t.strip[0]: Via is made by each leg for itself`},
		{add("trunks: {t: {uri: sip:a, username: \"a\\r\\nX-Y: 1\", password: x}}"), `trunks.t.username: "a\r\nX-Y: 1" has quotes, backslashes`},
		{add("trunks: {t: {uri: sip:a, username: u, password: \"a\\r\\nb\"}}"), `trunks.t.password: has line ends or NUL`},
		{add("trunks: {t: {uri: sip:a, username: 'a b', password: x, caller: {from: account}}}"), `trunks.t.username: "a b" cannot be the user of a caller`},
		{add("trunks: {t: {uri: sip:a, emergency: [sos]}}"), `trunks.t.emergency[0]: "sos" is not a number`},
		{add("trunks: {t: {uri: sip:a, authenticate: {username: x}}}"), `trunks.t.authenticate: has no username or no password`},
		{add("trunks: {t: {uri: sip:a, authenticate: {username: x, password: y, algorithms: [SHA-1]}}}"), `trunks.t.authenticate.algorithms[0]: "SHA-1"`},
		{add("trunks: {t: {uri: sip:a, authenticate: {username: x, password: y, algorithms: [MD5, MD5]}}}"), `trunks.t.authenticate.algorithms[1]: MD5 is said twice`},
		{add("trunks: {t: {uri: sip:a, authenticate: {username: x, password: y, realm: 'a\"b'}}}"), `trunks.t.authenticate: realm and username have no quotes`},
		{add("trunks: {t: {uri: sip:a, stir: {}}}"), `trunks.t.stir: has neither sign nor verify`},
		{add("trunks: {t: {uri: sip:a, stir: {sign: {key: DIR/a.key, certificate: 'http://a/c'}}}}"), `trunks.t.stir.sign.certificate: "http://a/c" is not where`},
		{add("trunks: {t: {uri: sip:a, stir: {sign: {certificate: 'https://a/c'}}}}"), `trunks.t.stir.sign.key: is missing`},
		{add("trunks: {t: {uri: sip:a, stir: {sign: {key: DIR/empty, certificate: 'https://a/c'}}}}"), `trunks.t.stir.sign.key: there is no private key`},
		{add("trunks: {t: {uri: sip:a, stir: {sign: {key: DIR/a.key, certificate: 'https://a/c', attest: D}}}}"), `sign.attest: "D" is not one of A, B, C, none`},
		{add("trunks: {t: {uri: sip:a, stir: {sign: {key: DIR/a.key, certificate: 'https://a/c', orig-id: x}}}}"), `sign.orig-id: "x" is not a UUID`},
		{add("trunks: {t: {uri: sip:a, stir: {sign: {key: DIR/a.key, certificate: 'https://a/c', rules: {from: x}}}}}"), `rules[0].attest: is missing`},
		{add("trunks: {t: {uri: sip:a, stir: {sign: {key: DIR/a.key, certificate: 'https://a/c', rules: {from: x, attest: A}}}}}"), `rules[0].from: there is no pool or trunk "x"`},
		{add("trunks: {t: {uri: sip:a, stir: {sign: {key: DIR/a.key, certificate: 'https://a/c', rules: {claim: {a: b}, attest: A}}}}}"), `rules[0].claim: needs identity.tokens`},
		{add("trunks: {t: {uri: sip:a, stir: {sign: {key: DIR/a.key, certificate: 'https://a/c', rules: {from: t, claim: {a: b}, attest: A}}}}}"), `rules[0].claim: only browsers have tokens`},
		{add("trunks: {t: {uri: sip:a, stir: {verify: {}}}}"), `trunks.t.stir.verify.ca: is missing`},
		{add("trunks: {t: {uri: sip:a, stir: {verify: {ca: DIR/empty}}}}"), `trunks.t.stir.verify.ca: `},
		{add("trunks: {t: {uri: sip:a, stir: {verify: {ca: DIR/a.pem, max-age: 1ms, failed: drop, missing: drop, tell: all}}}}"), `verify.max-age: 1ms is not between`},
		{add("trunks: {t: {uri: sip:a, stir: {verify: {ca: DIR/a.pem, failed: drop}}}}"), `verify.failed: "drop" is not one of pass, reject`},
		{add("trunks: {t: {uri: sip:a, stir: {verify: {ca: DIR/a.pem, missing: drop}}}}"), `verify.missing: "drop" is not one of pass, reject`},
		{add("trunks: {t: {uri: sip:a, stir: {verify: {ca: DIR/a.pem, tell: all}}}}"), `verify.tell: "all" is not one of identity`},
		{add("trunks: {t: {uri: sip:a, stir: {verify: {ca: DIR/a.pem, certificates: {timeout: 1m, cache: 1s}}}}}"), `certificates.timeout: 1m0s is not between`},
		{add("trunks: {t: {uri: sip:a, stir: {verify: {ca: DIR/a.pem, certificates: {hosts: 'a b'}}}}}"), `certificates.hosts[0]: "a b" is not a host`},
		{add("trunks: {t: {uri: sip:a, stir: {verify: {ca: DIR/a.pem, certificates: {private: '*'}}}}}"), `certificates.private[0]: "*" is not a host`},
		{add("trunks: {t: {uri: sip:a, stir: {verify: {ca: DIR/a.pem, certificates: {ca: DIR/none.pem}}}}}"), `certificates.ca: open`},
		{add("trunks: {t: {uri: sip:a, numbers: {format: short}}}"), `trunks.t.numbers.format: "short" is not one of e164`},
		{add("trunks: {t: {uri: sip:a, numbers: {country: '+49'}}}"), `trunks.t.numbers.country: "+49" has more than digits`},
		{add("trunks: {t: {uri: sip:a, numbers: {format: national}}}"), `trunks.t.numbers.format: national needs country`},
		{add("trunks: {t: {uri: sip:a, numbers: {format: international}}}"), `trunks.t.numbers.format: international needs`},
		{add("trunks: {t: {uri: sip:a, numbers: {national: '0'}}}"), `trunks.t.numbers.national: stands without country`},
		{add("trunks: {t: {uri: sip:a, numbers: {in: [{replace: '1'}]}}}"), `trunks.t.numbers.in[0]: has no match`},
		{add("trunks: {t: {uri: sip:a, numbers: {out: [{match: '1', replace: 'a@b'}]}}}"), `trunks.t.numbers.out[0].replace: "a@b" is not`},
		{add("trunks: {t: {uri: sip:a, caller: {from: me}}}"), `trunks.t.caller.from: "me" is not one of caller, account`},
		{add("trunks: {t: {uri: sip:a, caller: {identity: account}}}"), `trunks.t.caller.identity: account is the username`},
		{add("trunks: {t: {uri: sip:a, caller: {header: From}}}"), `trunks.t.caller.header: "From" is not one of`},
		{add("trunks: {t: {uri: sip:a, caller: {heard: me}}}"), `trunks.t.caller.heard: "me" is not one of from, asserted`},
		{add("trunks: {t: {uri: sip:a, caller: {domain: '@'}}}"), `trunks.t.caller.domain: "@" is not a domain`},
		{add("trunks: {t: {uri: sip:a, caller: {instead: 'a@b'}}}"), `trunks.t.caller.instead: "a@b" is not a number`},
		{add("trunks: {t: {uri: sip:a, caller: {allowed: '1'}}}"), `trunks.t.caller.allowed: says who may be shown`},
		{replace("routes: [{from: browsers, to: pbx}, {from: pbx, to: browsers}]\n", ""), `routes: are missing`},
		{replace("to: pbx}", "to: pbx2}"), `t.yaml:4:27: routes[0].to: "pbx2" is not one of browsers, pbx`},
		{replace("{from: pbx", "{from: abx"), `routes[1].from: "abx" is not one of`},
		{replace("to: pbx}", "tenant: a}"), `routes[0]: has neither to nor reject`},
		{replace("to: pbx}", "to: pbx, reject: 403}"), `routes[0]: has both to and reject`},
		{replace("to: pbx}", "reject: 200}"), `routes[0].reject: 200 is not a SIP status`},
		{replace("to: pbx}", "to: pbx, domain: 'sip:a'}"), `routes[0].domain: "sip:a" is not a domain`},
		{replace("to: pbx}", "to: pbx, register: always}"), `routes[0].register: "always" is not forward`},
		{replace("to: browsers}", "to: browsers, register: forward}"), `routes[1].register: forward needs a route from browsers`},
		{add("log: {level: loud}"), `log.level: "loud" is not one of debug`},
		{add("log: {format: xml}"), `log.format: "xml" is not one of text, json`},
		{add("records: {file: DIR/none/calls.jsonl}"), `t.yaml:5:11: records.file: stat`},
		{add("records: {recordings: DIR/none}"), `t.yaml:5:11: records.recordings: open`},
		{add("records: {recordings: /proc}"), `t.yaml:5:11: records.recordings: open /proc/`}, // there, and not to be written to
		{replace("to: pbx}", "to: pbx, record: mp3}"), `routes[0].record: "mp3" is not one of wav, pcap, both`},
		{replace("to: pbx}", "to: pbx, record: wav}"), `t.yaml:4:36: routes[0].record: needs records.recordings`},
		{replace("to: pbx}", "to: pbx, consent: true}"), `routes[0].consent: is said of a recording`},
		{replace("to: pbx}", "reject: 403, record: wav}") + "records: {recordings: " + dir + "}\n", `routes[0].record: a call that is rejected`},
	} {
		if _, err := parse(t, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestFilesOfAGoodConfiguration(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir, "a")
	text := strings.NewReplacer("DIR", dir).Replace(`https: {listen: 127.0.0.1:0, certificates: [{certificate: DIR/a.pem, key: DIR/a.key}]}
sip: {listen: [udp://0.0.0.0:0, tls://0.0.0.0:0], advertise: 127.0.0.1, certificate: DIR/a.pem, key: DIR/a.key, ca: DIR/a.pem}
media: {rtp: {address: 127.0.0.1}}
trunks: {a: {uri: sip:a}}
routes: {from: a, to: browsers}
records: {file: DIR/calls.jsonl, recordings: DIR}
`)
	if _, err := parse(t, text); err != nil {
		t.Error(err)
	}
}

// A Config that was made by hand is held to the same rules, without places.
func TestConfigMadeByHand(t *testing.T) {
	err := Config{Node: 1}.Validate()
	if err == nil || !strings.Contains(err.Error(), "https.listen: is missing") || strings.Contains(err.Error(), "0:0") {
		t.Errorf("%v", err)
	}
	if _, err := New(Config{}, Options{}); err == nil {
		t.Error("New took an empty configuration")
	}
}
