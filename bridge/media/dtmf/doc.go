// Package dtmf finds the sixteen signals of ITU-T Q.23 in speech-band audio, by the receiver's rules of Q.24, and makes them.
// Audio is linear 16-bit PCM, mono, at 8000 samples a second; full scale is +3.14 dBm0 (G.711 A-law).
package dtmf

// Rate is the samples a second that the package works at.
const Rate = 8000

const keys = "123A456B789C*0#D"

// rows and columns are the frequencies of Q.23 in Hz.
func rows() [4]float64    { return [4]float64{697, 770, 852, 941} }
func columns() [4]float64 { return [4]float64{1209, 1336, 1477, 1633} }
