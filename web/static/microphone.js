// The microphone outside of a call's beginning: another one in mid-call, and its test.

// change has calls go on with another microphone; throws what getUserMedia does.
export async function change(calls, constraints) {
  const fresh = await navigator.mediaDevices.getUserMedia(constraints);
  const [track] = fresh.getAudioTracks();
  for (const call of calls) {
    if (!call.sender) continue;
    const old = call.sender.track;
    const next = track.clone();
    next.enabled = old.enabled;
    await call.sender.replaceTrack(next);
    old.stop();
  }
  track.stop();
}

// Test shows how loud the microphone is.
export class Test {
  // changed(stream) is called with what is heard, null when the test is over
  constructor(changed) {
    this.changed = changed;
    this.stream = null;
  }
  // toggle begins or ends it; throws what getUserMedia does.
  async toggle(constraints) {
    if (this.stream) {
      this.end();
      return;
    }
    this.stream = await navigator.mediaDevices.getUserMedia(constraints);
    this.changed(this.stream);
  }
  end() {
    if (!this.stream) return;
    for (const track of this.stream.getTracks()) track.stop();
    this.stream = null;
    this.changed(null);
  }
}
