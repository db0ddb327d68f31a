// Levels draws how loud both directions are, in decibels from -60 to 0.
export class Levels {
  constructor(out, into) {
    this.meters = { out: { element: out }, into: { element: into } };
    this.frame = 0;
  }
  speak(stream) { this.attach(this.meters.out, stream); }
  hear(stream) { this.attach(this.meters.into, stream); }
  attach(meter, stream) {
    this.context ||= new AudioContext();
    this.context.resume();
    if (meter.source) meter.source.disconnect();
    meter.source = new MediaStreamAudioSourceNode(this.context, { mediaStream: stream });
    meter.analyser = new AnalyserNode(this.context, { fftSize: 1024 });
    meter.source.connect(meter.analyser);
    meter.samples = new Float32Array(meter.analyser.fftSize);
    meter.level = 0;
    if (!this.frame) this.draw();
  }
  draw() {
    this.frame = requestAnimationFrame(() => this.draw());
    for (const meter of Object.values(this.meters)) {
      if (!meter.analyser) continue;
      meter.analyser.getFloatTimeDomainData(meter.samples);
      let energy = 0;
      for (const x of meter.samples) energy += x * x;
      const decibels = 10 * Math.log10(energy / meter.samples.length + 1e-9);
      const now = Math.min(1, Math.max(0, (decibels + 60) / 60));
      meter.level = Math.max(now, meter.level * 0.92);
      this.show(meter);
    }
  }
  show(meter) {
    meter.element.firstElementChild.style.clipPath = `inset(0 ${((1 - meter.level) * 100).toFixed(1)}% 0 0)`;
    meter.element.setAttribute('aria-valuenow', String(Math.round(meter.level * 100)));
  }
  stop() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    for (const meter of Object.values(this.meters)) {
      if (meter.source) meter.source.disconnect();
      meter.source = meter.analyser = null;
      meter.level = 0;
      this.show(meter);
    }
  }
}
