pub(super) fn play(
    _: &mut super::Screen,
    _: &super::Script,
    _: &super::Legacy,
    _: &super::Folder,
    _: &crate::framework::plugin::Registry,
) -> Result<super::Row, String> {
    Err("not yet".into())
}
