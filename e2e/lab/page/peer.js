// Peer connections without SIP, for what SDP alone decides.
const peers = {};

async function addTracks(pc, kinds) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: kinds.includes('audio'), video: kinds.includes('video') });
  for (const kind of kinds) pc.addTrack(stream.getTracks().find(t => t.kind === kind), stream);
}

async function gathered(pc) {
  if (pc.iceGatheringState !== 'complete') {
    await new Promise(done => pc.addEventListener('icegatheringstatechange', () => pc.iceGatheringState === 'complete' && done()));
  }
  return pc.localDescription.sdp;
}

// peerOffer makes a peer connection with tracks of the kinds, in their order, and gives its offer.
window.peerOffer = async (name, kinds, bundlePolicy) => {
  const pc = peers[name] = new RTCPeerConnection({ bundlePolicy });
  await addTracks(pc, kinds);
  await pc.setLocalDescription(await pc.createOffer());
  return gathered(pc);
};

// peerReoffer offers again on a peer connection, with a track of one more kind where that is given.
window.peerReoffer = async (name, kind) => {
  const pc = peers[name];
  if (kind) await addTracks(pc, [kind]);
  await pc.setLocalDescription(await pc.createOffer());
  return gathered(pc);
};

window.peerTake = (name, sdp) => peers[name].setRemoteDescription({ type: 'answer', sdp });

// peerAnswer answers an offer, on a new peer connection unless there is one of the name.
window.peerAnswer = async (name, kinds, sdp) => {
  const pc = peers[name] ??= new RTCPeerConnection();
  await pc.setRemoteDescription({ type: 'offer', sdp });
  if (kinds) await addTracks(pc, kinds);
  await pc.setLocalDescription(await pc.createAnswer());
  return gathered(pc);
};

// peerState is how the connection stands, and per kind what is received and what was asked for.
window.peerState = async name => {
  const pc = peers[name], kinds = {};
  for (const s of (await pc.getStats()).values()) {
    if (s.type === 'inbound-rtp') {
      kinds[s.kind] = { ...kinds[s.kind], packets: s.packetsReceived, frames: s.framesDecoded ?? 0, keyFrames: s.keyFramesDecoded ?? 0, codec: s.codecId };
    } else if (s.type === 'outbound-rtp') {
      kinds[s.kind] = { ...kinds[s.kind], asked: (s.pliCount ?? 0) + (s.firCount ?? 0), sent: s.packetsSent };
    }
  }
  return {
    connection: pc.connectionState, kinds,
    directions: pc.getTransceivers().map(t => t.receiver.track.kind + ' ' + (t.stopped ? 'stopped' : t.currentDirection)),
  };
};
