package gateway

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tandem/bridge"
	"tandem/gateway/guard"
	"tandem/sipside"
	"tandem/sipside/transaction"
)

// newRegistry holds everything that /metrics shows. Names and labels of ours stand in this file and nowhere else.
func newRegistry(of observed) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collector{of},
	)
	registry.MustRegister(of.histograms()...)
	return registry
}

// collector turns one snapshot into metrics at each scrape.
type collector struct{ of observed }

var _ prometheus.Collector = collector{}

// Describe says nothing, which registers the collector as unchecked: labels such as reasons are known only when they occur.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	f := c.of.figures()
	s := scrape{out}
	s.process(c.of.about(), f)
	s.calls(f)
	s.browsers(f)
	s.backends(f)
	s.media(f)
	s.relay(f)
	s.guard(f)
	s.records(f)
	s.tolls(f.Tolls)
}

type scrape struct{ out chan<- prometheus.Metric }

// gauge and counter send one sample; labels are names and values in turn.
func (s scrape) gauge(name, help string, value float64, labels ...string) {
	s.send(prometheus.GaugeValue, name, help, value, labels)
}

func (s scrape) counter(name, help string, value uint64, labels ...string) {
	s.send(prometheus.CounterValue, name, help, float64(value), labels)
}

// counters sends one sample for each value of a label.
func (s scrape) counters(name, help, label string, values map[string]uint64) {
	for of, value := range values {
		s.counter(name, help, value, label, of)
	}
}

func (s scrape) send(kind prometheus.ValueType, name, help string, value float64, labels []string) {
	var names, values []string
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	desc := prometheus.NewDesc("tandem_"+name, help, names, nil)
	s.out <- prometheus.MustNewConstMetric(desc, kind, value, values...)
}

func (s scrape) process(a about, f figures) {
	s.gauge("build_info", "The running version; always 1.", 1, "version", a.Version)
	s.gauge("draining", "1 while the gateway takes no new calls, for an operator drains it or it ends.", oneIf(f.Draining))
	s.gauge("config_last_reload_successful", "1 while the configuration that was read last is the one that is obeyed.", oneIf(f.Loaded.Refused == ""))
	s.gauge("config_last_reload_success_timestamp_seconds", "When the configuration that is obeyed was read.", float64(f.Loaded.At))
}

func (s scrape) calls(f figures) {
	b := f.Bridge
	s.gauge("calls", "Calls that run.", float64(b.Calls))
	s.gauge("registrations", "Bindings of browsers that have not expired.", float64(b.Registrations))
	s.gauge("subscriptions", "Subscriptions (RFC 6665) that run.", float64(b.Subscriptions))
	s.counter("calls_started_total", "Calls begun.", b.CallsStarted)
	s.counter("calls_direct_total", "Calls begun whose media goes from peer to peer.", b.CallsDirect)
	s.counters("calls_ended_total", "Calls ended, by why.", "reason", b.CallsEnded)
	s.counters("registers_total", "REGISTER requests of browsers, by outcome.", "outcome", b.Registers)
	s.counter("call_panics_total", "Calls that ended by a fault of the process, each confined to its call.", b.Panics)
	s.counters("recordings_total", "Recordings that ended, by how.", "end", b.Recordings)
	s.counter("recordings_lost_packets_total", "Packets that recordings lack, for the disk was too slow.", b.Unrecorded)
	s.limits(b)
	s.counters("stir_signed_total", "INVITEs to trunks that the gateway signed, by attestation, or failed.", "attest", b.Signed)
	s.counters("stir_verified_total", "INVITEs of trunks, by the attestation that holds, or why there is none.", "outcome", b.Verified)
	s.counter("failovers_total", "Requests tried again at another member of the pool.", b.Failovers)
}

// limits are the calls that were refused, by the limit that they were over, and what it looks at.
func (s scrape) limits(b bridge.Stats) {
	limited := func(n uint64, limit, of string) {
		s.counter("calls_limited_total", "New calls refused, by the limit that they were over, and of which pool or trunk.", n, "limit", limit, "of", of)
	}
	limited(b.Overloads, "overload", "")
	for limit, n := range b.Admission.Refused {
		limited(n, limit, "")
	}
	for name, p := range b.Peers {
		s.gauge("backend_calls", "Calls that run with a pool or trunk.", float64(p.Calls), "pool", name)
		for limit, n := range p.Capped {
			limited(n, limit, name)
		}
	}
	for name, refused := range b.Members {
		for limit, n := range refused {
			s.counter("backend_limited_total", "Calls that a full member was passed over for, by the limit that they were over.", n, "backend", name, "limit", limit)
		}
	}
	a := b.Admission
	s.gauge("limits_calls", "Calls that count against the limits of the process.", float64(a.Calls))
	s.gauge("limits_parties", "Users and source addresses that are counted now.", float64(a.Users), "of", "users")
	s.gauge("limits_parties", "Users and source addresses that are counted now.", float64(a.Sources), "of", "sources")
	const help = "What was in use of the machine, as shares of 1, when a new call made the limits look."
	s.gauge("limits_load", help, a.Load.CPU, "of", "cpu")
	s.gauge("limits_load", help, a.Load.Memory, "of", "memory")
	s.gauge("limits_load", help, a.Load.Ports, "of", "ports")
}

// tolls are what is spent on calls that may cost.
func (s scrape) tolls(t guard.TollStats) {
	s.gauge("toll_calls", "Answered calls with pools and trunks whose minutes are counted.", float64(t.Calls))
	s.gauge("toll_accounts", "Accounts of users, and of all together, that spent something.", float64(t.Accounts))
	s.counters("toll_alarms_total", "Alarms of toll fraud, by what was spent on.", "spending", t.Alarms)
	s.counters("toll_refused_total", "Calls refused because of a stop, by what was spent on.", "spending", t.Refused)
	for spending, n := range t.Stopped {
		s.gauge("toll_stops", "Accounts that are stopped, by what was spent on.", float64(n), "spending", spending)
	}
}

func (s scrape) browsers(f figures) {
	w := f.WSS
	s.gauge("https_connections", "Connections to the browsers' listeners that are no WebSocket, or not yet.", float64(f.Front.Connections))
	s.counters("https_connections_refused_total", "Connections to the browsers' listeners that were closed unheard, by why.", "reason", f.Front.Refused)
	s.gauge("browser_connections", "WebSockets that are open.", float64(w.Connections))
	s.counter("browser_connections_accepted_total", "WebSockets accepted.", w.Accepted)
	s.counters("browser_connections_refused_total", "WebSocket handshakes refused, by why.", "reason", w.Refused)
	s.counters("browser_connections_closed_total", "WebSockets closed, by why.", "reason", w.Closed)
	s.counter("browser_keepalives_total", "CRLF keepalives of browsers.", w.Keepalives)
	s.counter("browser_panics_total", "Faults of the process while it served a browser, each confined to its connection.", w.Panics)
	s.messages("browsers", w.MessagesIn, w.MessagesOut, w.Rejected)
	s.transactions("browsers", w.Transactions)
}

func (s scrape) backends(f figures) {
	e := f.SIP
	for pool, good := range f.Sources {
		s.gauge("pool_source_up", "1 while the source of a pool's members (file, URL, SRV) was of use when it was asked last.", oneIf(good), "pool", pool)
	}
	s.messages("backends", e.MessagesIn, e.MessagesOut, e.Rejected)
	s.transactions("backends", e.Transactions)
	s.counter("sip_strangers_total", "Messages from addresses that are neither pool member nor trunk.", e.Strangers)
	s.gauge("sip_connections", "TCP and TLS connections of the SIP side.", float64(e.Connections))
	for _, b := range e.Backends {
		labels := []string{"pool", b.Pool, "backend", b.Name}
		s.gauge("backend_up", "1 while probes and traffic find the backend alive.", oneIf(b.Alive), labels...)
		s.gauge("backend_latency_seconds", "Round trip of answered probes, moving average.", b.Latency.Seconds(), labels...)
		s.gauge("backend_legs", "Calls that have a leg at the backend.", float64(b.Calls), labels...)
		s.gauge("backend_weight", "The backend's weight in its pool.", float64(b.Weight), labels...)
		s.gauge("backend_priority", "The backend's priority in its pool; lower ones first.", float64(b.Priority), labels...)
		for _, state := range sipside.States() {
			s.gauge("backend_state", "1 of the state that the backend is in, 0 of the others.", oneIf(state == b.State), append(labels, "state", state)...)
		}
		s.counter("backend_requests_total", "Requests sent to the backend.", b.Requests, labels...)
		s.counter("backend_failures_total", "Requests to the backend that failed.", b.Fails, labels...)
		if b.Registers {
			s.gauge("trunk_registered", "1 while the gateway is registered at the trunk.", oneIf(b.Registered), labels...)
			s.gauge("trunk_register_status", "Last final response to a REGISTER of the gateway; 0: none came.", float64(b.RegisterStatus), labels...)
		}
	}
}

func (s scrape) messages(door string, in, out, rejected uint64) {
	const help = "SIP messages, by door and direction."
	s.counter("sip_messages_total", help, in, "door", door, "direction", "in")
	s.counter("sip_messages_total", help, out, "door", door, "direction", "out")
	s.counter("sip_messages_rejected_total", "SIP messages that could not be used.", rejected, "door", door)
}

func (s scrape) transactions(door string, t transaction.Stats) {
	const help = "Transactions that run, by door and side."
	s.gauge("transactions", help, float64(t.Clients), "door", door, "side", "client")
	s.gauge("transactions", help, float64(t.Servers), "door", door, "side", "server")
	s.counter("transaction_retransmissions_total", "Messages sent again by timers.", t.Retransmissions, "door", door)
	s.counter("transaction_absorbed_total", "Retransmissions of the peer.", t.Absorbed, "door", door)
	s.counter("transaction_timeouts_total", "Transactions without a final response in time.", t.Timeouts, "door", door)
	s.counter("transaction_flow_errors_total", "Transactions whose flow failed.", t.FlowErrors, "door", door)
	s.counter("transaction_unacked_total", "Refusals of an INVITE that no ACK came for.", t.Unacked, "door", door)
	s.counter("transaction_strays_total", "Responses that match no transaction.", t.Strays, "door", door)
}

func (s scrape) media(f figures) {
	m := f.Media
	s.gauge("media_legs", "Legs that have a transport.", float64(m.Legs))
	s.gauge("media_converters", "Pairs of joined legs whose audio is converted.", float64(m.Converters))
	s.gauge("media_relays", "Pairs of joined legs.", float64(m.Relays))
	s.gauge("media_ports", "Ports of the range towards the SIP world, by state.", float64(m.PortsUsed), "state", "used")
	s.gauge("media_ports", "Ports of the range towards the SIP world, by state.", float64(m.PortsFree), "state", "free")
	s.gauge("media_tcp_connections", "Connections of browsers that carry media (ICE over TCP).", float64(m.TCP))
	s.counter("media_packets_total", "Packets, by direction.", m.PacketsIn, "direction", "in")
	s.counter("media_packets_total", "Packets, by direction.", m.PacketsOut, "direction", "out")
	s.counters("media_drops_total", "Packets dropped, by why.", "reason", m.Drops)
	s.counter("media_shared_port_conflicts_total", "Peers at one address, of which a shared RTP port can hear only one.", m.Conflicts)
	s.counter("media_handoffs_total", "Datagrams passed to the worker that owns their relay.", m.Handoffs)
	s.gauge("media_turn_allocations", "Relayed addresses of TURN clients that have no socket.", float64(m.Allocations))
	s.counter("media_turn_packets_total", "Packets that passed between TURN clients and media within the process.", m.DetouredIn, "direction", "in")
	s.counter("media_turn_packets_total", "Packets that passed between TURN clients and media within the process.", m.DetouredOut, "direction", "out")
	s.counter("media_moves_total", "Legs that changed their worker.", m.Moves)
	s.counter("media_ticks_total", "Times that a busy worker let packets collect.", m.Ticks)
	s.counter("media_handshakes_total", "DTLS handshakes done.", m.Handshakes)
	s.counters("media_handshake_failures_total", "DTLS handshakes failed, by why.", "reason", m.HandshakeFailures)
}

func (s scrape) relay(f figures) {
	t := f.TURN
	s.gauge("turn_allocations", "Allocations of the relay that run.", float64(t.Allocations))
	s.counter("turn_allocations_total", "Allocations of the relay ever opened.", t.Opened)
	s.gauge("turn_connections", "TCP, TLS and DTLS connections of the relay's clients.", float64(t.Connections))
	s.counter("turn_packets_total", "Packets relayed: out to peers, in from them.", t.PacketsOut, "direction", "out")
	s.counter("turn_packets_total", "Packets relayed: out to peers, in from them.", t.PacketsIn, "direction", "in")
	s.counter("turn_bytes_total", "Payload relayed: out to peers, in from them.", t.BytesOut, "direction", "out")
	s.counter("turn_bytes_total", "Payload relayed: out to peers, in from them.", t.BytesIn, "direction", "in")
	s.counters("turn_refused_total", "Requests and packets that the relay refused, by why.", "reason", t.Refused)
}

func (s scrape) guard(f figures) {
	s.counters("guard_refused_total", "Connections and messages that the guard let not in, by why.", "reason", f.Guard.Refused)
	s.counter("guard_failures_total", "Wrong credentials.", f.Guard.Failures)
	s.gauge("guard_bans", "Bans that hold.", float64(f.Guard.Bans))
	s.counters("guard_bans_total", "Bans begun, by why.", "reason", f.Guard.Banned)
	s.counter("guard_unlogged_total", "Lines about strangers that the log was spared.", f.Guard.Unsaid)
}

func (s scrape) records(f figures) {
	s.counter("records_written_total", "Call records written.", f.Records.Written)
	s.counters("records_lost_total", "Call records lost, by why.", "reason", f.Records.Lost)
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
