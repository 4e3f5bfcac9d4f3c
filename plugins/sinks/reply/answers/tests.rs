use super::{Answers, End, TooLong};

fn all(answers: &mut Answers, bytes: &str) -> Result<Vec<String>, TooLong> {
    let mut found = Vec::new();
    answers.push(bytes.as_bytes());
    answers.each(|answer| {
        found.push(String::from_utf8_lossy(answer).into_owned());
        Ok(())
    })?;
    Ok(found)
}

#[test]
fn answers_do_not_depend_on_how_they_come() {
    let whole = "OK 1\r\nOK 2\r\n\r\nOK 3\r\n";
    for size in 1..=whole.len() {
        let mut answers = Answers::new(End::Delimiter(b"\r\n".to_vec()), 4);
        let mut found = Vec::new();
        for part in whole.as_bytes().chunks(size) {
            found.extend(all(&mut answers, std::str::from_utf8(part).expect("ASCII")).expect("short answers"));
        }
        assert_eq!(found, ["OK 1", "OK 2", "", "OK 3"], "in pieces of {size}");
    }
}

#[test]
fn answers_of_a_fixed_size_need_no_end() {
    let mut answers = Answers::new(End::Bytes(2), 2);
    assert_eq!(all(&mut answers, "aabbc"), Ok(vec!["aa".to_owned(), "bb".to_owned()]));
    assert_eq!(all(&mut answers, "c"), Ok(vec!["cc".to_owned()]));
}

#[test]
fn an_answer_without_end_is_told_before_it_takes_memory() {
    let mut answers = Answers::new(End::Delimiter(b"\n".to_vec()), 4);
    assert_eq!(all(&mut answers, "1234"), Ok(Vec::new()));
    assert_eq!(all(&mut answers, "\n"), Ok(vec!["1234".to_owned()]));
    assert_eq!(all(&mut answers, "12345"), Err(TooLong));
    let mut answers = Answers::new(End::Delimiter(b"\n".to_vec()), 4);
    assert_eq!(all(&mut answers, "12345\n"), Err(TooLong));
}
