// The keys of a telephone.
const keys = [['1', ''], ['2', 'ABC'], ['3', 'DEF'], ['4', 'GHI'], ['5', 'JKL'], ['6', 'MNO'], ['7', 'PQRS'], ['8', 'TUV'], ['9', 'WXYZ'], ['*', ''], ['0', '+'], ['#', '']];
const names = { '*': 'star', '#': 'hash' };
const long = 500; // ms after which a key that is held means what stands below it

// pad fills an element with keys; pressed(character) is told of each. The + is had by holding the 0, where plus is true.
export function pad(element, pressed, plus = false) {
  for (const [digit, letters] of keys) {
    const button = document.createElement('button');
    const small = document.createElement('small');
    button.type = 'button';
    button.textContent = digit;
    button.setAttribute('aria-label', names[digit] || digit);
    small.textContent = letters === '+' && !plus ? '' : letters;
    button.append(small);
    if (letters === '+' && plus) hold(button, () => pressed('+'), () => pressed(digit));
    else button.addEventListener('click', () => pressed(digit));
    element.append(button);
  }
}

// hold tells a key that is held from one that is pressed
function hold(button, held, pressed) {
  let timer = 0;
  let done = false;
  const stop = () => clearTimeout(timer);
  button.addEventListener('pointerdown', () => {
    done = false;
    stop();
    timer = setTimeout(() => { done = true; held(); }, long);
  });
  for (const event of ['pointerup', 'pointerleave', 'pointercancel']) button.addEventListener(event, stop);
  button.addEventListener('contextmenu', (e) => e.preventDefault()); // a finger that is held asks for one
  button.addEventListener('click', () => {
    if (!done) pressed();
    done = false;
  });
}
