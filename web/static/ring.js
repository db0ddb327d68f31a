// Ring makes the sounds before a call: the bell for a call that comes, a beep for one that comes during another, ringback for one
// that goes out.
const sounds = {
  bell: { tones: [660, 880], on: 0.9, every: 3 },
  waiting: { tones: [440], on: 0.2, every: 5 },
  ringback: { tones: [425], on: 1, every: 4 },
  test: { tones: [440, 660], on: 0.6, every: 60 },
};

export class Ring {
  // play starts a sound that goes on until another one or none is asked for
  play(name) {
    if (this.name === name) return;
    this.stop();
    if (!name) return;
    this.name = name;
    this.sound(sounds[name]);
    this.timer = setInterval(() => this.sound(sounds[name]), sounds[name].every * 1000);
  }
  // once plays a sound one time
  once(name) {
    this.stop();
    this.sound(sounds[name]);
  }
  // setSinkId sends the sounds to another speaker, as HTMLMediaElement.setSinkId does
  async setSinkId(id) {
    this.sink = id;
    if (this.context && this.context.setSinkId) await this.context.setSinkId(id);
  }
  sound({ tones, on }) {
    if (!this.context) {
      this.context = new AudioContext();
      if (this.sink) this.setSinkId(this.sink).catch(() => {});
    }
    this.context.resume();
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
