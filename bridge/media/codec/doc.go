// Package codec turns the sound of one leg into the codec of the other where the two share none: Opus, PCMU, PCMA, G.722.
//
// A Transcoder is one direction of one call: what arrives waits in a jitter buffer, is decoded at the rate that the other
// codec wants, concealed where it is missing, and leaves on a clock of its own. Nothing here does I/O, starts a
// goroutine or reads the time: whoever drives a Transcoder passes the time in, and calls it from one goroutine at a time.
// Times are durations since an epoch of the caller's choice, the same for all calls of one Transcoder.
//
// All sound is mono, 16 bits a sample, full scale ±32767. Nothing allocates in steady state, except that gopus takes three
// small blocks for each packet that it codes with in-band FEC.
package codec
