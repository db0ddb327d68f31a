// How good a connection is, from RTCPeerConnection.getStats (W3C webrtc-stats).

const silence = 3; // samples

// Quality samples one connection; each sample covers the time since the one before.
export class Quality {
  constructor(connection) {
    this.connection = connection;
    this.before = { received: 0, lost: 0 };
    this.still = 0; // samples in a row in which nothing came
  }
  // sample looks at the connection, of which sound is expected or not, and gives {lossIn, lossOut (0 to 1), jitter, roundTrip (seconds), mos (1 to 4.5), path ('direct', 'TCP', 'relay'), protocol,
  // deaf (nothing has come for a while)}; what is not known yet is null.
  async sample(expected) {
    const stats = [...(await this.connection.getStats()).values()];
    const byID = new Map(stats.map((s) => [s.id, s]));
    const into = stats.find((s) => s.type === 'inbound-rtp' && s.kind === 'audio');
    const heard = stats.find((s) => s.type === 'remote-inbound-rtp' && s.kind === 'audio');
    const transport = stats.find((s) => s.type === 'transport' && s.selectedCandidatePairId);
    const pair = transport && byID.get(transport.selectedCandidatePairId);
    const found = {
      lossIn: into ? this.loss(into) : null,
      lossOut: heard && heard.fractionLost !== undefined ? heard.fractionLost : null,
      jitter: into && into.jitter !== undefined ? into.jitter : null,
      roundTrip: pair && pair.currentRoundTripTime !== undefined ? pair.currentRoundTripTime : null,
      ...route(pair && byID.get(pair.localCandidateId)),
    };
    found.mos = into ? mos(found) : null;
    if (!expected) this.still = 0;
    found.deaf = this.still >= silence;
    return found;
  }
  loss({ packetsReceived: received = 0, packetsLost: lost = 0 }) {
    const news = { received: received - this.before.received, lost: Math.max(0, lost - this.before.lost) };
    this.before = { received, lost };
    this.still = news.received > 0 ? 0 : this.still + 1;
    return news.received + news.lost > 0 ? news.lost / (news.received + news.lost) : null;
  }
}

function route(local) {
  if (!local) return { path: null, protocol: null };
  if (local.candidateType === 'relay') return { path: 'relay', protocol: local.relayProtocol || 'udp' };
  return { path: local.protocol === 'tcp' ? 'TCP' : 'direct', protocol: local.protocol };
}

// mos rates what is heard by ITU-T G.107, simplified as for G.711 with loss concealment: the delay is half the round trip and a
// jitter buffer of twice the jitter.
export function mos({ lossIn, jitter, roundTrip }) {
  const delay = 1000 * ((roundTrip || 0) / 2 + 2 * (jitter || 0)) + 20;
  const late = 0.024 * delay + (delay > 177.3 ? 0.11 * (delay - 177.3) : 0);
  const percent = 100 * (lossIn || 0);
  const r = Math.max(0, 93.2 - late - 95 * percent / (percent + 25.1));
  return 1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r);
}

// grade is what a MOS means: good (4 and more), fair (3.1 and more) or poor.
export function grade(value) { return value >= 4 ? 'good' : value >= 3.1 ? 'fair' : 'poor'; }
