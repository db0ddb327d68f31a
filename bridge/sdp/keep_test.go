package sdp

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
)

// A description holds nothing of the text that it was heard in: a browser's is many times as large.
func TestHeardTextIsLetGo(t *testing.T) {
	const texts, size = 200, 30 << 10
	for _, heard := range []struct {
		profile Profile
		text    []byte
	}{{RTP, rtpText(1, "192.0.2.1", "sendrecv")}, {WebRTC, rtcText(1, "sendrecv", "actpass")}} {
		long := append(bytes.TrimSpace(heard.text), "\r\n"+strings.Repeat("a=x-unknown:"+strings.Repeat("y", 86)+"\r\n", size/100)...)
		kept := make([]*Description, texts)
		before := inUse()
		for i := range kept {
			var err error
			if kept[i], err = describe(long, heard.profile); err != nil {
				t.Fatal(err)
			}
		}
		each := (inUse() - before) / texts
		runtime.KeepAlive(kept)
		if each > 4<<10 {
			t.Errorf("%s: %d bytes are held of %d", heard.profile, each, len(long))
		}
	}
}

func inUse() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
