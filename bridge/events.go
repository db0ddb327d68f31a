package bridge

import "time"

// Event is one thing that happened to a call: exactly one of the typed fields is set.
type Event struct {
	Call   string // the call's id: our own, the same in both legs' logs
	Tenant string
	At     time.Time

	Started  *Started
	Ringing  *Ringing
	Answered *Answered
	Media    *MediaEvent
	Record   *Record
	Alarm    *Alarm // of no call
}

// Started, Ringing, Answered and MediaEvent are the steps of a call.
type (
	Started struct{ Origin, From, To string }
	Ringing struct {
		Status  int
		Backend string
	}
	Answered struct {
		Backend string
		SetUp   time.Duration
	}
	MediaEvent struct{ Leg, What, Reason string }
)

// Alarm is somebody who spent too much on calls (see Tolls).
type Alarm struct {
	ID       uint64
	Spending string  // what was spent on, by its name in the configuration
	User     string  // an address of record; "": all users together
	Minutes  float64 // talked
	Calls    int     // answered
	Limit    string  // what they are over
	Action   string  // "alarm", "stop", "end"
}

// Record is the call's record, its last event; one JSON line.
type Record struct {
	Call     string        `json:"call"`
	Tenant   string        `json:"tenant,omitempty"`
	Origin   string        `json:"origin"` // "browsers", or a pool or trunk
	From     string        `json:"from"`
	To       string        `json:"to"`
	Client   string        `json:"client,omitempty"`      // a calling browser's address
	Subject  string        `json:"certificate,omitempty"` // of its certificate, where it showed one
	Backend  string        `json:"backend,omitempty"`
	Tried    []string      `json:"tried,omitempty"`
	Start    time.Time     `json:"start"`
	Ring     time.Time     `json:"ring,omitzero"`
	Answer   time.Time     `json:"answer,omitzero"`
	End      time.Time     `json:"end"`
	Duration float64       `json:"duration"`         // seconds from answer to end
	Status   int           `json:"status"`           // the final SIP status to the caller
	Reason   string        `json:"reason"`           // why it ended: Termination
	By       string        `json:"by"`               // "caller", "callee", "gateway"
	Direct   bool          `json:"direct,omitempty"` // media began to go from peer to peer: of that there are no figures
	Media    []RecordMedia `json:"media,omitempty"`

	Transfer   *Transfer `json:"transfer,omitempty"`
	TransferOf string    `json:"transfer_of,omitempty"` // the call whose transfer began this one
	Replaced   []string  `json:"replaced,omitempty"`    // the calls whose legs came into this one

	Recording *RecordRecording `json:"recording,omitempty"`
	STIR      *RecordSTIR      `json:"stir,omitempty"`
}

// RecordSTIR is what PASSporTs said of a call.
type RecordSTIR struct {
	Verstat string `json:"verstat,omitempty"` // "TN-Validation-Passed", "TN-Validation-Failed", "No-TN-Validation"; "": not verified
	Reason  string `json:"reason,omitempty"`  // why it did not pass: a stir.Fault's
	Attest  string `json:"attest,omitempty"`  // what the caller's PASSporT attests
	OrigID  string `json:"origid,omitempty"`
	Signed  string `json:"signed,omitempty"` // what the gateway attested
}

// Challenged says that the INVITE was answered with nothing but a challenge: its caller comes again with credentials, and that
// is the call.
func (r Record) Challenged() bool { return r.Reason == reasonChallenged }

// RecordMedia is one leg's media figures in the record.
type RecordMedia struct {
	Leg        string            `json:"leg"` // "caller", "callee"
	Profile    string            `json:"profile"`
	Remote     string            `json:"remote,omitempty"`
	SRTP       string            `json:"srtp,omitempty"`
	Converted  string            `json:"converted,omitempty"` // the leg's codec, where its audio was turned into the other leg's
	PacketsIn  uint64            `json:"packets_in"`
	PacketsOut uint64            `json:"packets_out"`
	Drops      map[string]uint64 `json:"drops,omitempty"`
	Streams    []RecordStream    `json:"streams,omitempty"`
}

// RecordStream is how one stream fared on a leg.
type RecordStream struct {
	Kind        string         `json:"kind"` // "audio", "video"
	RoundTripMS float64        `json:"rtt_ms,omitempty"`
	In          *RecordQuality `json:"in,omitempty"`  // what came from the peer
	Out         *RecordQuality `json:"out,omitempty"` // what the peer got, by its own reports
}

// RecordQuality is one direction of it. The MOS is the E-model's (ITU-T G.107), of stretches of a few seconds: the worst and
// the mean; absent where nothing was rated.
type RecordQuality struct {
	Packets     uint64  `json:"packets"` // that were to come
	Lost        uint64  `json:"lost"`
	LossPercent float64 `json:"loss_percent"`
	JitterMS    float64 `json:"jitter_ms"`
	Burst       float64 `json:"burst,omitempty"` // BurstR: above 1 where losses come together
	MOSMin      float64 `json:"mos_min,omitempty"`
	MOSAvg      float64 `json:"mos_avg,omitempty"`
}
