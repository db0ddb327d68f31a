// Tone makes a stream with one sine; Ear measures how much of what is heard lies at a frequency.
'use strict';

const audio = new AudioContext();

class Tone {
  constructor(frequency) {
    this.oscillator = new OscillatorNode(audio, { frequency });
    this.gain = new GainNode(audio, { gain: 0.4 });
    this.out = new MediaStreamAudioDestinationNode(audio, { channelCount: 1 });
    this.oscillator.connect(this.gain).connect(this.out);
    this.oscillator.start();
  }
  get stream() { return this.out.stream; }
}

class Ear {
  constructor(stream) {
    // Chromium feeds a remote stream into Web Audio only while an element plays it
    this.element = new Audio();
    this.element.srcObject = stream;
    this.element.muted = true;
    this.element.play().catch(() => {});
    this.analyser = new AnalyserNode(audio, { fftSize: 8192 });
    this.source = new MediaStreamAudioSourceNode(audio, { mediaStream: stream });
    this.source.connect(this.analyser);
    this.samples = new Float32Array(this.analyser.fftSize);
  }
  // {share, rms}: the share of the energy at the frequency (Goertzel, 0 to 1) in the latest 170 ms, and the loudness
  measure(frequency) {
    this.analyser.getFloatTimeDomainData(this.samples);
    const n = this.samples.length;
    let energy = 0;
    for (const x of this.samples) energy += x * x;
    const c = 2 * Math.cos(2 * Math.PI * frequency / audio.sampleRate);
    let s1 = 0, s2 = 0;
    for (const x of this.samples) { const s = x + c * s1 - s2; s2 = s1; s1 = s; }
    const power = s1 * s1 + s2 * s2 - c * s1 * s2;
    return { share: energy > 0 ? 2 * power / (n * energy) : 0, rms: Math.sqrt(energy / n) };
  }
}
