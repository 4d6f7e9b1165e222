//! Interceptors of a client: callbacks for requests that are sent or end, and for changes in the state of a
//! broker's connection.

use std::ffi::{CStr, c_char, c_void};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::config::NativeClientConfig;
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr};
use rdkafka_sys as sys;

use super::NativeError;

/// Watches a client with interceptors. librdkafka's own threads call them.
pub(super) trait Watcher: Default + Sync {
    /// The interceptors' name in librdkafka's log.
    const NAME: &CStr;

    /// Adds the interceptors to a client that is being created; false if librdkafka rejects one of them.
    ///
    /// # Safety
    ///
    /// `client` is live, and `opaque` is a valid argument of [`watcher`] for as long as the client lives.
    unsafe fn add(client: *mut sys::rd_kafka_t, opaque: *mut c_void) -> bool;
}

/// A watcher, and whether librdkafka accepted its interceptors.
#[derive(Debug, Default)]
pub(super) struct Watch<W> {
    attached: AtomicBool,
    watcher: W,
}

impl<W> Deref for Watch<W> {
    type Target = W;

    fn deref(&self) -> &W {
        &self.watcher
    }
}

impl<W: Watcher> Watch<W> {
    /// A watch of the client that will be created from `config`.
    ///
    /// # Errors
    ///
    /// If librdkafka rejects the interceptor.
    ///
    /// # Safety
    ///
    /// The caller keeps the watch until the client is destroyed or could not be created.
    pub(super) unsafe fn of(config: &NativeClientConfig) -> Result<Arc<Self>, NativeError> {
        let watch = Arc::new(Self::default());
        let opaque = Arc::as_ptr(&watch).cast_mut().cast();
        // SAFETY: the configuration is live, and the caller keeps the watch for as long as it is used.
        let added = unsafe {
            sys::rd_kafka_conf_interceptor_add_on_new(
                config.ptr(),
                W::NAME.as_ptr(),
                Some(on_new::<W>),
                opaque,
            )
        };
        if added == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Ok(watch);
        }
        Err(NativeError::of(added.into()))
    }

    /// Checks that the client calls the interceptors. librdkafka only logs that one could not be added.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub(super) fn attached(&self) -> Result<(), NativeError> {
        if self.attached.load(Ordering::Acquire) {
            return Ok(());
        }
        let what = format!("librdkafka did not accept the interceptors {:?}", W::NAME);
        Err(NativeError::new(Code::Fail, what))
    }
}

/// The watcher to which an interceptor belongs.
///
/// # Safety
///
/// `opaque` is the one that was passed to [`Watcher::add`], and the client is live.
pub(super) unsafe fn watcher<'a, W>(opaque: *mut c_void) -> &'a W {
    // SAFETY: guaranteed by the caller; the watch outlives its client, and is only ever shared.
    let watch: &Watch<W> = unsafe { &*opaque.cast_const().cast() };
    &watch.watcher
}

/// Called while the client is being created. It has no threads yet, so nothing reads the list of
/// interceptors.
unsafe extern "C" fn on_new<W: Watcher>(
    client: *mut sys::rd_kafka_t,
    _config: *const sys::rd_kafka_conf_t,
    opaque: *mut c_void,
    _message: *mut c_char,
    _size: usize,
) -> RDKafkaRespErr {
    // SAFETY: the client is live, and so is the watch (`Watch::of`), which is only ever shared.
    unsafe {
        let watch: &Watch<W> = &*opaque.cast_const().cast();
        watch.attached.store(W::add(client, opaque), Ordering::Release);
    }
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
}
