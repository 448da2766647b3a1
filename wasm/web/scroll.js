// Keeps the end of the conversation in view while it grows, but only for somebody who is there: one step up and it
// lets go.

export class Follow {
  #scroller;
  #jump;
  #last = 0;
  following = true;

  constructor(scroller, jump) {
    this.#scroller = scroller;
    this.#jump = jump;
    scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    // The wheel says what is wanted before the position does, which may be set anew in between.
    scroller.addEventListener(
      'wheel',
      (event) => {
        if (event.deltaY < 0) this.#set(false);
      },
      { passive: true },
    );
    new ResizeObserver(() => {
      if (this.following) this.toEnd();
    }).observe(scroller);
    jump.onclick = () => this.toEnd();
  }

  get #below() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight;
  }

  #set(following) {
    this.following = following;
    this.#jump.hidden = following || this.#below < 8;
  }

  #scrolled() {
    const top = this.#scroller.scrollTop;
    if (this.#below < 8) this.#set(true);
    else if (top < this.#last - 1) this.#set(false);
    else this.#set(this.following);
    this.#last = top;
  }

  /** To be called after the content has grown. */
  grown() {
    if (this.following) this.toEnd();
    else this.#jump.hidden = this.#below < 8;
  }

  toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#last = this.#scroller.scrollTop;
    this.#set(true);
  }
}
