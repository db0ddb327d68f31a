package dtmf

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// Recorded speech holds no digit: 25 minutes of prompts by one voice, the names of all digits among them. The recordings are
// Debian's asterisk-core-sounds-en-wav, which `make lab` installs.
func TestSpeechHoldsNoDigits(t *testing.T) {
	const sounds = "/usr/share/asterisk/sounds/en_US_f_Allison"
	files, _ := filepath.Glob(sounds + "/*.wav")
	more, _ := filepath.Glob(sounds + "/*/*.wav")
	files = append(files, more...)
	if len(files) < 500 {
		t.Fatalf("%d recordings in %s: the package asterisk-core-sounds-en-wav is needed; run `make lab`", len(files), sounds)
	}
	samples := 0
	for _, file := range files {
		speech := wav(t, file)
		samples += len(speech)
		if events := heard(speech); len(events) > 0 {
			t.Errorf("%s: %v", file, events)
		}
	}
	if minutes := samples / Rate / 60; minutes < 20 {
		t.Errorf("only %d minutes of speech", minutes)
	}
}

// wav reads mono 16-bit samples behind a plain header of 44 bytes.
func wav(t *testing.T, file string) []int16 {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil || len(data) < 44 || string(data[36:40]) != "data" || binary.LittleEndian.Uint32(data[24:]) != Rate {
		t.Fatalf("%s: not a plain recording of %d samples a second: %v", file, Rate, err)
	}
	data = data[44:]
	out := make([]int16, len(data)/2)
	for i := range out {
		out[i] = int16(binary.LittleEndian.Uint16(data[2*i:]))
	}
	return out
}
