// Ring makes the sounds before a call: the bell for a call that comes, ringback for one that goes out.
const sounds = {
  bell: { tones: [660, 880], on: 0.9, every: 3 },
  ringback: { tones: [425], on: 1, every: 4 },
};

export class Ring {
  start(name) {
    if (this.name === name) return;
    this.stop();
    this.name = name;
    this.context ||= new AudioContext();
    this.context.resume();
    this.play(sounds[name]);
    this.timer = setInterval(() => this.play(sounds[name]), sounds[name].every * 1000);
  }
  play({ tones, on }) {
    const now = this.context.currentTime;
    this.gain = new GainNode(this.context, { gain: 0 });
    this.gain.connect(this.context.destination);
    this.gain.gain.setTargetAtTime(0.12, now, 0.02);
    this.gain.gain.setTargetAtTime(0, now + on, 0.04);
    for (const frequency of tones) {
      const oscillator = new OscillatorNode(this.context, { frequency });
      oscillator.connect(this.gain);
      oscillator.start(now);
      oscillator.stop(now + on + 0.3);
    }
  }
  stop() {
    clearInterval(this.timer);
    if (this.gain) this.gain.disconnect();
    this.gain = this.name = null;
  }
}
