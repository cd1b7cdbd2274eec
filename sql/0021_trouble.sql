-- What of our own keeps an unfinished job from getting on, in words for the operator; null: nothing, as it was found last.
alter table jobs add trouble text;
