// The conversation: questions, foldable steps of tools, answers with their segments.
// Every text that comes from people or models is set as textContent.
const turns = $('.turns'), notice = $('.notice'), ideas = $('.ideas');
const opened = new Map();   // key of a step -> whether somebody folded it open

function chip(one, pressed = true) {
  if (!one) return make('span', 'chip awaited', '…');
  if (!one.name) return make('span', 'chip absent', one.label);
  const node = make(pressed ? 'button' : 'span', 'chip', one.name);
  node.title = one.label;
  node.dataset.name = one.name;
  node.style.background = one.colour;
  node.style.color = one.ink;
  const look = (name) => () => document.dispatchEvent(new CustomEvent('lisa:look', {detail: name}));
  node.addEventListener('pointerenter', look(one.name));
  node.addEventListener('pointerleave', look(null));
  if (!pressed) return node;
  node.type = 'button';
  node.setAttribute('aria-label', one.label + ': ask about it');
  node.addEventListener('focus', look(one.name));
  node.addEventListener('blur', look(null));
  node.addEventListener('click', () => mention(one.name));
  return node;
}
document.addEventListener('lisa:look', (event) => {
  for (const node of turns.querySelectorAll('.chip')) {
    node.classList.toggle('lit', Boolean(event.detail) && node.dataset.name === event.detail);
  }
});

function step(one, key) {
  const fold = make('details', 'step ' + one.kind + (one.failed ? ' failed' : '') + (one.running ? ' running' : ''));
  fold.open = opened.get(key) || false;
  fold.addEventListener('toggle', () => opened.set(key, fold.open));
  const line = make('summary');
  if (one.kind === 'thought') {
    line.append(make('span', 'tool', 'thought'), make('span', 'words', one.text));
    fold.append(line, make('p', 'result', one.text));
    return fold;
  }
  line.append(make('span', 'tool', one.tool), make('span', 'words', one.words));
  one.segments.slice(0, 4).forEach((segment) => line.append(chip(segment, false)));
  if (one.segments.length > 4) line.append(make('span', 'words', '+' + (one.segments.length - 4)));
  line.append(make('span', 'time', one.running ? 'working …' : one.failed ? 'failed' : one.seconds === null ? '' : one.seconds.toFixed(1) + ' s'));
  fold.append(line);
  if (one.text) fold.append(make('p', 'result', one.text));
  if (one.arguments !== '{}') fold.append(make('pre', '', one.arguments));
  return fold;
}

function turn(one, number, several) {
  const node = make('article');
  node.setAttribute('aria-busy', String(one.running));
  const asked = make('div', 'asked');
  if (several) asked.append(make('span', 'where', 'Picture ' + one.picture));
  one.pointed.forEach((segment) => asked.append(chip(segment)));
  asked.append(make('p', '', one.question));
  node.append(asked);
  one.steps.forEach((it, place) => node.append(step(it, number + ':' + (it.id || place))));
  const said = make('p', 'said');
  for (const piece of one.pieces) {
    if (piece.text !== undefined) said.append(document.createTextNode(piece.text));
    else said.append(chip(piece.chip));
  }
  if (one.running) said.append(make('span', 'caret'));
  if (said.childNodes.length) node.append(said);
  if (one.note) node.append(make('p', 'note', one.note));
  return node;
}

const drawn = [];   // JSON of each turn that stands there
function show() {
  const value = props.value || {turns: [], ideas: []};
  const all = value.live ? [...value.turns, value.live] : value.turns;
  const atEnd = turns.scrollHeight - turns.scrollTop - turns.clientHeight < 80;
  document.documentElement.classList.toggle('lisa-busy', Boolean(value.busy));
  if (!all.length) {
    drawn.length = 0;
    const hello = make('div', 'hello');
    hello.append(make('p', 'big', value.greeting || ''), make('p', '', value.advice || ''));
    turns.replaceChildren(hello);
  } else {
    if (!drawn.length) turns.replaceChildren();
    const several = all.some((one) => one.picture !== all[0].picture);
    all.forEach((one, place) => {
      const text = JSON.stringify([one, several]);
      if (drawn[place] === text) return;
      const node = turn(one, place, several);
      if (turns.children[place]) turns.children[place].replaceWith(node);
      else turns.append(node);
      if (drawn[place] === undefined) requestAnimationFrame(() => { turns.scrollTop = turns.scrollHeight; });
      drawn[place] = text;
    });
    while (turns.children.length > all.length) turns.lastChild.remove();
    drawn.length = all.length;
  }
  notice.hidden = !value.notice;
  notice.className = 'notice ' + (value.notice ? value.notice.kind : '');
  notice.textContent = value.notice ? value.notice.text : '';
  ideas.replaceChildren(...(value.busy ? [] : value.ideas).map((text) => {
    const button = Object.assign(make('button', '', text), {type: 'button'});
    button.addEventListener('click', () => trigger('suggest', {text}));
    return button;
  }));
  if (atEnd) turns.scrollTop = turns.scrollHeight;
}

// Writes a name into the question, where the cursor stands.
function mention(name) {
  const field = document.querySelector('#lisa-question textarea');
  if (!field) return;
  const start = field.selectionStart ?? field.value.length;
  const before = field.value.slice(0, start), after = field.value.slice(start);
  const gap = before && !before.endsWith(' ') ? ' ' : '';
  field.value = before + gap + name + ' ' + after.trimStart();
  field.dispatchEvent(new Event('input', {bubbles: true}));
  field.focus();
}
document.addEventListener('lisa:mention', (event) => mention(event.detail));
watch('value', show);
show();
